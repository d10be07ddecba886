//! Handlers, retries, order and the end, on a bus in memory and a clock that jumps.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commerce_consumer_framework::{
    Backoff, Call, Consumer, ConsumerError, Emit, Event, Failure, Metadata, OnExhausted, State,
};
use commerce_contracts::CloudEvent;
use commerce_event_bus::{ErrorKind, EventBus, Message};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use crate::broken_bus::{BrokenBus, Fate};
use crate::runner::{Runner, dead};
use crate::shop::{Returned, Sold, backlog, drained, publish, subscription, topic, until};

type Handle = BoxCloneSyncService<Call, (), Failure>;

type Seen = State<Arc<Mutex<HashMap<&'static str, u32>>>>;

const SECOND: Duration = Duration::from_secs(1);

/// What handlers did, and when.
#[derive(Clone)]
struct Log {
    start: Instant,
    lines: Arc<Mutex<Vec<(String, u32, Duration)>>>,
}

impl Log {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            lines: Arc::default(),
        }
    }

    fn note(&self, event: &Sold) {
        self.lines
            .lock()
            .unwrap()
            .push((event.item.clone(), event.number, self.start.elapsed()));
    }

    fn numbers(&self, item: &str) -> Vec<u32> {
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .filter(|(of, ..)| of == item)
            .map(|(_, number, _)| *number)
            .collect()
    }

    fn times(&self, item: &str) -> Vec<Duration> {
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .filter(|(of, ..)| of == item)
            .map(|(.., at)| *at)
            .collect()
    }
}

fn consumer<S: Clone + Send + Sync + 'static>(bus: &EventBus, state: S) -> Consumer<S> {
    Consumer::new("stock", bus.clone()).state(state)
}

/// Fails for items that are called `bad…`, notes the others.
async fn strict(event: Event<Sold>, State(log): State<Log>) -> Result<(), Failure> {
    log.note(&event);
    if event.item.starts_with("bad") {
        return Err(Failure::retry(format!("no {}", event.item)));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn attempts_are_spaced_and_then_the_event_is_a_dead_letter() {
    let (bus, log) = (EventBus::memory(), Log::new());
    let backoff = Backoff::exponential(SECOND, 3 * SECOND).attempts(5);
    let consumer = consumer(&bus, log.clone()).retry(backoff).on(strict);
    let stats = consumer.stats();
    let runner = Runner::start(consumer).await;
    let message = publish(&bus, "bad", 1).await;
    drained(&bus, "sales", "stock").await;

    let times = log.times("bad");
    let pauses: Vec<_> = times
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    for (pause, planned) in pauses.iter().zip([1, 2, 3, 3]) {
        // Never earlier than promised; the bus's timer may be a few milliseconds late.
        let planned = planned * SECOND;
        assert!(
            *pause >= planned && *pause <= 2 * planned + SECOND / 20,
            "{pauses:?}"
        );
    }
    assert_eq!(times.len(), 5);
    let dead = dead(&bus, "stock").await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].body, Ok(message));
    assert_eq!(dead[0].reason, "failed in all 5 attempts: no bad");
    assert_eq!(
        (stats.retries(), stats.dead_lettered(), stats.handled()),
        (4, 1, 0)
    );
    assert!(runner.stop().await.unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_failing_key_waits_in_order_while_others_go_on() {
    let (bus, log) = (EventBus::memory(), Log::new());
    let flaky = async |event: Event<Sold>,
                       metadata: Metadata,
                       State(log): State<Log>|
           -> Result<(), Failure> {
        if event.item == "slow" && metadata.attempt() < 3 {
            return Err(Failure::retry("not yet"));
        }
        log.note(&event);
        Ok(())
    };
    let runner = Runner::start(
        consumer(&bus, log.clone())
            .retry(Backoff::fixed(SECOND))
            .on(flaky),
    )
    .await;
    for number in 0..4 {
        publish(&bus, "slow", number).await;
        publish(&bus, "fast", number).await;
    }
    drained(&bus, "sales", "stock").await;
    assert_eq!(log.numbers("slow"), [0, 1, 2, 3]);
    assert_eq!(log.numbers("fast"), [0, 1, 2, 3]);
    assert!(log.times("fast")[3] < SECOND, "the others did not wait");
    let slow = log.times("slow");
    assert!(
        slow[3] >= 8 * SECOND,
        "four events, two pauses of a second each: {slow:?}"
    );
    runner.stop().await.unwrap();
}

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
async fn a_panic_and_a_handler_that_hangs_are_failed_attempts() {
    let bus = EventBus::memory();
    let broken = async |event: Event<Sold>, metadata: Metadata| match (
        event.item.as_str(),
        metadata.attempt(),
    ) {
        ("panics", 1) => panic!("out of pens"),
        ("hangs", 1) => std::future::pending().await,
        _ => {}
    };
    let consumer = Consumer::new("stock", bus.clone())
        .handler_timeout(5 * SECOND)
        .on(broken);
    let stats = consumer.stats();
    let runner = Runner::start(consumer).await;
    publish(&bus, "panics", 1).await;
    publish(&bus, "hangs", 1).await;
    publish(&bus, "works", 1).await;
    drained(&bus, "sales", "stock").await;
    assert_eq!(
        (
            stats.handled(),
            stats.panics(),
            stats.timeouts(),
            stats.retries()
        ),
        (3, 1, 1, 2)
    );
    assert_eq!(stats.in_flight(), 0);
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_panic_said_is_in_the_dead_letter() {
    let bus = EventBus::memory();
    let panics = async |event: Event<Sold>| -> () { panic!("no {} left", event.item) };
    let consumer = Consumer::new("stock", bus.clone())
        .retry(Backoff::fixed(SECOND).attempts(2))
        .on(panics);
    let runner = Runner::start(consumer).await;
    publish(&bus, "pen", 1).await;
    drained(&bus, "sales", "stock").await;
    let reason = &dead(&bus, "stock").await[0].reason;
    assert_eq!(
        reason,
        "failed in all 2 attempts: the handler panicked: no pen left"
    );
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_not_tried_again_and_a_deferral_is_no_attempt() {
    let (bus, log) = (EventBus::memory(), Log::new());
    let deciding = async |event: Event<Sold>,
                          metadata: Metadata,
                          State(log): State<Log>|
           -> Result<(), Failure> {
        log.note(&event);
        assert_eq!(metadata.attempt(), 1, "deferrals do not count");
        match event.item.as_str() {
            "never" => Err(Failure::reject("never sold")),
            _ if log.numbers("later").len() < 10 => Err(Failure::defer(SECOND)),
            _ => Ok(()),
        }
    };
    let consumer = consumer(&bus, log.clone())
        .retry(Backoff::fixed(SECOND).attempts(3))
        .on(deciding);
    let stats = consumer.stats();
    let runner = Runner::start(consumer).await;
    publish(&bus, "never", 1).await;
    publish(&bus, "later", 1).await;
    drained(&bus, "sales", "stock").await;
    assert_eq!(
        (log.numbers("never").len(), log.numbers("later").len()),
        (1, 10)
    );
    assert_eq!(dead(&bus, "stock").await[0].reason, "never sold");
    assert_eq!(
        (stats.deferrals(), stats.handled(), stats.dead_lettered()),
        (9, 1, 1)
    );
    runner.stop().await.unwrap();
}

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
        .map(|letter| letter.reason)
        .collect();
    assert!(reasons[0].contains("/number"), "{reasons:?}");
    assert!(
        !reasons[0].contains("one"),
        "values are not repeated: {reasons:?}"
    );
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_event_can_stop_the_consumer_and_stays() {
    let (bus, log) = (EventBus::memory(), Log::new());
    let make = |log: &Log| {
        consumer(&bus, log.clone())
            .retry(Backoff::fixed(SECOND).attempts(2))
            .on_exhausted(OnExhausted::Stop)
            .on(strict)
    };
    let runner = Runner::start(make(&log)).await;
    publish(&bus, "bad", 1).await;
    let error = runner.ended().await.unwrap_err();
    assert!(
        matches!(&error, ConsumerError::Exhausted { attempts: 2, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("no bad"), "{error}");
    assert_eq!(backlog(&bus, "sales", "stock").await.waiting, 1);
    assert!(dead(&bus, "stock").await.is_empty());
    assert_eq!(
        log.numbers("bad").len(),
        2,
        "given back, and not taken again"
    );
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
