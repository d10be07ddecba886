//! What becomes of attempts that fail, on a clock that jumps.

use commerce_consumer_framework::{
    Backoff, Consumer, ConsumerError, Event, Failure, Metadata, OnExhausted, State,
};
use commerce_event_bus::EventBus;

use crate::log::{Log, SECOND, consumer, strict};
use crate::runner::{Runner, dead};
use crate::shop::{Sold, backlog, drained, publish};

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
    assert_eq!(dead[0].reason(), "failed in all 5 attempts: no bad");
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
    let reason = dead(&bus, "stock").await[0].reason().to_owned();
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
    assert_eq!(dead(&bus, "stock").await[0].reason(), "never sold");
    assert_eq!(
        (stats.deferrals(), stats.handled(), stats.dead_lettered()),
        (9, 1, 1)
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
