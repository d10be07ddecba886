//! How much is handled at a time, what a faulty bus does to it, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use commerce_consumer_framework::{ConsumerError, Event, State};
use commerce_event_bus::{ErrorKind, EventBus};
use tokio::time::{Instant, sleep};

use crate::broken_bus::BrokenBus;
use crate::log::{Log, SECOND, consumer, strict};
use crate::runner::Runner;
use crate::shop::{Sold, backlog, drained, publish, until};

#[tokio::test(start_paused = true)]
async fn deliveries_run_at_the_same_time_up_to_the_bound() {
    let bus = EventBus::memory();
    let gauge = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let measuring = async |_: Event<Sold>, State(gauge): State<Arc<(AtomicU32, AtomicU32)>>| {
        let now = gauge.0.fetch_add(1, Ordering::SeqCst) + 1;
        gauge.1.fetch_max(now, Ordering::SeqCst);
        sleep(SECOND).await;
        gauge.0.fetch_sub(1, Ordering::SeqCst);
    };
    let runner = Runner::start(consumer(&bus, gauge.clone()).concurrency(7).on(measuring)).await;
    for number in 0..30 {
        publish(&bus, &format!("item-{number}"), number).await;
    }
    drained(&bus, "sales", "stock").await;
    assert_eq!(gauge.1.load(Ordering::SeqCst), 7);
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_consumer_finishes_what_is_under_way_and_leaves_the_rest() {
    let bus = EventBus::memory();
    let slow = async |event: Event<Sold>, State(done): State<Arc<AtomicU32>>| {
        sleep(event.number * SECOND).await;
        done.fetch_add(1, Ordering::SeqCst);
    };
    let done = Arc::new(AtomicU32::new(0));
    let make = || {
        consumer(&bus, done.clone())
            .concurrency(2)
            .handler_timeout(600 * SECOND)
            .drain_within(10 * SECOND)
            .on(slow)
    };
    for (item, seconds) in [("a", 5), ("b", 5), ("c", 5)] {
        publish(&bus, item, seconds).await;
    }
    let consumer = make();
    let stats = consumer.stats();
    let runner = Runner::start(consumer).await;
    until("two are under way", async || stats.in_flight() == 2).await;
    assert!(runner.stop().await.unwrap().clean);
    assert_eq!(done.load(Ordering::SeqCst), 2);
    assert_eq!(
        backlog(&bus, "sales", "stock").await.waiting,
        1,
        "the third was not begun"
    );

    // One that takes longer than the drain is given back.
    publish(&bus, "d", 300).await;
    let consumer = make();
    let stats = consumer.stats();
    let runner = Runner::start(consumer).await;
    until("only the long one is left", async || {
        stats.handled() == 1 && stats.in_flight() == 1
    })
    .await;
    let before = Instant::now();
    assert!(!runner.stop().await.unwrap().clean);
    assert!(before.elapsed() >= 10 * SECOND && before.elapsed() < 11 * SECOND);
    assert_eq!(backlog(&bus, "sales", "stock").await.waiting, 1);
    assert_eq!(stats.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_does_not_reach_the_bus_is_sent_again() {
    let (bus, broken) = BrokenBus::new();
    let log = Log::new();
    let consumer = consumer(&bus, log.clone()).on(strict);
    let stats = consumer.stats();
    let runner = Runner::start(consumer).await;
    broken.fail_settling(3);
    publish(&bus, "pen", 1).await;
    drained(&bus, "sales", "stock").await;
    assert_eq!((log.numbers("pen").len(), stats.settle_errors()), (1, 3));
    // Beyond the tries the delivery is given back and comes again: at least once.
    broken.fail_settling(7);
    publish(&bus, "cup", 1).await;
    drained(&bus, "sales", "stock").await;
    assert_eq!((log.numbers("cup").len(), stats.settle_errors()), (2, 10));
    assert!(runner.stop().await.unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn errors_that_pass_are_waited_for_and_a_lost_subscription_ends_the_run() {
    let (bus, broken) = BrokenBus::new();
    let log = Log::new();
    broken.fail_receiving([ErrorKind::Unavailable; 6]);
    let runner = Runner::start(consumer(&bus, log.clone()).on(strict)).await;
    publish(&bus, "pen", 1).await;
    drained(&bus, "sales", "stock").await;
    assert!(
        log.times("pen")[0] >= Duration::from_millis(100 + 200 + 400 + 800 + 1600),
        "it does not spin"
    );
    broken.fail_receiving([ErrorKind::Backend]);
    publish(&bus, "pen", 2).await;
    let error = runner.ended().await.unwrap_err();
    assert!(
        matches!(
            error,
            ConsumerError::Lost {
                source: Some(_),
                ..
            }
        ),
        "{error}"
    );

    let runner = Runner::start(consumer(&bus, log.clone()).on(strict)).await;
    bus.close(SECOND).await.unwrap();
    let error = runner.ended().await.unwrap_err();
    assert!(
        matches!(error, ConsumerError::Lost { source: None, .. }),
        "{error}"
    );
}
