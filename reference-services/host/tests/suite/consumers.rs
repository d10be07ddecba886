//! Consumers as the host runs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use commerce_consumer_framework::{Consumer, Event, Failure, State};
use commerce_contracts::commerce::{
    Channel, CustomerNotified, NotificationId, OrderId, OrganizationId, Outcome,
};
use commerce_event_bus::Message;
use commerce_host::testing::{Scratch, Tokens, resources};
use commerce_host::{Drained, Host, Service};
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the handler has seen of the one event.
#[derive(Clone, Default)]
struct Seen(Arc<Sight>);

#[derive(Default)]
struct Sight {
    begun: AtomicU32,
    ended: AtomicU32,
    go_on: Notify,
}

async fn take_long(
    _event: Event<CustomerNotified>,
    State(seen): State<Seen>,
) -> Result<(), Failure> {
    if seen.0.begun.fetch_add(1, Ordering::SeqCst) == 0 {
        seen.0.go_on.notified().await;
    }
    seen.0.ended.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_aborted_consumer_is_cut_off_comes_back_and_gets_again_what_it_had_not_finished() {
    let scratch = Scratch::sqlite().unwrap();
    let tokens = Tokens::new().unwrap();
    let resources = resources(&scratch, &scratch.bus(), &tokens).await.unwrap();
    let (bus, seen) = (resources.bus.clone(), Seen::default());
    let (consumed, state) = (bus.clone(), seen.clone());
    let service = Service::new("reader").consumer(move || {
        Consumer::new("reader", consumed.clone())
            .state(state.clone())
            .on(take_long)
    });
    let running = Host::new(resources).mount(service).start().await.unwrap();
    let event = CustomerNotified {
        organization_id: OrganizationId::new(),
        order_id: OrderId::new(),
        notification_id: NotificationId::new(),
        outcome: Outcome::Received,
        attempt: 1,
        channel: Channel::Email,
        notified_at: chrono::Utc::now(),
    };
    bus.publish(Message::of(&event).unwrap()).await.unwrap();
    let begun = || seen.0.begun.load(Ordering::SeqCst);
    eventually("the handler begins", || begun() == 1).await;

    assert!(!running.abort_consumer("writer"));
    assert!(running.abort_consumer("reader"));
    eventually("the event is handled again", || {
        seen.0.ended.load(Ordering::SeqCst) == 1
    })
    .await;
    // Had the first handler outlived its consumer, it would end now.
    seen.0.go_on.notify_one();
    assert_eq!(running.shutdown().await, Drained::Clean);
    assert_eq!((begun(), seen.0.ended.load(Ordering::SeqCst)), (2, 1));
    scratch.remove().await.unwrap();
}
