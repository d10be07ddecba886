//! Which handler gets what, and what is around it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use commerce_consumer_framework::{Backoff, Call, Consumer, Emit, Event, Failure, Metadata, State};
use commerce_contracts::CloudEvent;
use commerce_event_bus::{EventBus, Message};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use crate::broken_bus::{BrokenBus, Fate};
use crate::log::{Log, SECOND, consumer, strict};
use crate::runner::{Runner, dead};
use crate::shop::{Returned, Sold, backlog, drained, publish, subscription, topic, until};

type Handle = BoxCloneSyncService<Call, (), Failure>;

type Seen = State<Arc<Mutex<HashMap<&'static str, u32>>>>;

#[tokio::test(start_paused = true)]
async fn events_that_nobody_takes_are_acknowledged_and_unreadable_ones_are_not() {
    let (bus, log) = (EventBus::memory(), Log::new());
    let consumer = consumer(&bus, log.clone()).on(strict);
    let stats = consumer.stats();
    let runner = Runner::start(consumer).await;
    bus.publish(
        Message::of(&Returned {
            item: "pen".to_owned(),
        })
        .unwrap(),
    )
    .await
    .unwrap();
    let valid = Message::of(&crate::shop::sold("pen", 1)).unwrap();
    for data in [
        r#"{"item": "pen", "number": "one"}"#,
        "{",
        r#"{"number": 1}"#,
    ] {
        let mut message = valid.clone();
        message.event = message
            .event
            .with_data("application/json", data.as_bytes().to_vec())
            .unwrap();
        bus.publish(message).await.unwrap();
    }
    bus.publish(valid).await.unwrap();
    drained(&bus, "sales", "stock").await;
    assert_eq!(
        (
            stats.ignored(),
            stats.handled(),
            stats.dead_lettered(),
            stats.retries()
        ),
        (1, 1, 3, 0)
    );
    assert_eq!(
        log.numbers("pen"),
        [1],
        "the handler saw only what is valid"
    );
    let reasons: Vec<_> = dead(&bus, "stock")
        .await
        .into_iter()
        .map(|letter| letter.reason().to_owned())
        .collect();
    assert!(reasons[0].contains("/number"), "{reasons:?}");
    assert!(
        !reasons[0].contains("one"),
        "values are not repeated: {reasons:?}"
    );
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_an_inbox_events_are_published_before_the_acknowledgement() {
    let (bus, broken) = BrokenBus::new();
    let forward = async |event: CloudEvent| Emit::to("copies", event);
    let runner =
        Runner::start(Consumer::new("copier", bus.clone()).on_topic("sales", forward)).await;
    broken.rule(Some(Box::new(|message| {
        if message.topic.as_str() == "copies" {
            Fate::Unavailable
        } else {
            Fate::Accepted
        }
    })));
    let message = publish(&bus, "pen", 1).await;
    until("it was tried twice", async || broken.tried().len() >= 3).await;
    assert!(
        !backlog(&bus, "sales", "copier").await.is_drained(),
        "not acknowledged"
    );
    broken.rule(None);
    drained(&bus, "sales", "copier").await;
    let copy = broken.accepted().pop().unwrap();
    assert_eq!((copy.topic, copy.event), (topic("copies"), message.event));
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn typed_handlers_come_before_the_one_for_the_rest_of_the_topic() {
    let bus = EventBus::memory();
    let seen: Arc<Mutex<HashMap<&'static str, u32>>> = Arc::default();
    let consumer = consumer(&bus, seen.clone())
        .on(async |_: Event<Sold>, State(seen): Seen| {
            *seen.lock().unwrap().entry("sold").or_default() += 1;
        })
        .on_topic("sales", async |metadata: Metadata, State(seen): Seen| {
            assert_eq!(
                (metadata.topic().as_str(), metadata.subscription().as_str()),
                ("sales", "stock")
            );
            *seen.lock().unwrap().entry("rest").or_default() += 1;
        });
    let runner = Runner::start(consumer).await;
    publish(&bus, "pen", 1).await;
    bus.publish(
        Message::of(&Returned {
            item: "pen".to_owned(),
        })
        .unwrap(),
    )
    .await
    .unwrap();
    drained(&bus, "sales", "stock").await;
    assert_eq!(
        *seen.lock().unwrap(),
        HashMap::from([("sold", 1), ("rest", 1)])
    );
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn layers_see_every_attempt_and_its_outcome() {
    let (bus, log) = (EventBus::memory(), Log::new());
    let seen: Arc<Mutex<Vec<(u32, bool)>>> = Arc::default();
    let watching = {
        let seen = seen.clone();
        tower::layer::layer_fn(move |inner: Handle| {
            let seen = seen.clone();
            tower::service_fn(move |call: Call| {
                let (seen, attempt) = (seen.clone(), call.attempt());
                let handling = inner.clone().oneshot(call);
                async move {
                    let outcome: Result<(), Failure> = handling.await;
                    seen.lock().unwrap().push((attempt, outcome.is_ok()));
                    outcome
                }
            })
        })
    };
    let limit =
        tower::limit::GlobalConcurrencyLimitLayer::with_semaphore(Arc::new(Semaphore::new(1)));
    let consumer = consumer(&bus, log.clone())
        .retry(Backoff::fixed(SECOND).attempts(2))
        .on(strict)
        .layer(watching)
        .layer(limit);
    let runner = Runner::start(consumer).await;
    publish(&bus, "bad", 1).await;
    publish(&bus, "pen", 1).await;
    drained(&bus, "sales", "stock").await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [(1, false), (1, true), (2, false)]);
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn mistakes_are_reported_at_the_start_all_at_once() {
    let bus = EventBus::memory();
    let takes_nothing = Consumer::new("stock", bus.clone())
        .start()
        .await
        .unwrap_err();
    assert!(
        takes_nothing.to_string().contains("add one with on("),
        "{takes_nothing}"
    );
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    {
        use commerce_consumer_framework::{Begin, Tx};
        let error = Consumer::new("Stock!", bus.clone())
            .on(async |_: Event<Sold>, _: Tx| ())
            .on(async |_: Event<Sold>, _: Begin| ())
            .on_topic("Sales", async |_: CloudEvent| ())
            .start()
            .await
            .unwrap_err()
            .to_string();
        for part in [
            "cannot start",
            "Stock!",
            "two handlers take shop.item.sold.v1",
            "Sales",
            "with inbox(",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    let late = Consumer::new("stock", bus.clone())
        .on(async |_: Event<Sold>| ())
        .state(1)
        .on(async |_: Event<Returned>| ());
    assert!(
        late.start()
            .await
            .unwrap_err()
            .to_string()
            .contains("say it first")
    );
    let known = bus.backlog(&topic("sales"), &subscription("stock")).await;
    assert!(known.is_err(), "nothing was subscribed to");
}
