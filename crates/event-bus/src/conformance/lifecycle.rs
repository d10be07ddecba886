//! Cases about closing, connecting again and being several.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, timeout};

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, number, subscribe};
use crate::backlog::Backlog;
use crate::delivery::Delivery;
use crate::error::{ErrorKind, PublishErrorKind};
use crate::subscriber::Subscriber;
use crate::subscription::Subscription;

pub(super) async fn the_backlog_is_counted(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription().max_in_flight(1);
    let mut subscriber = stage.subscribe(&subscription).await?;
    let is = async |waiting, in_flight, dead| {
        let expected = (waiting, in_flight, dead);
        stage
            .eventually(
                &format!("waiting, in flight, dead are {expected:?}"),
                async || {
                    let Subscription { topic, name, .. } = &subscription;
                    let Backlog {
                        waiting,
                        in_flight,
                        dead,
                        ..
                    } = stage.bus.backlog(topic, name).await?;
                    Ok((waiting, in_flight, dead) == expected)
                },
            )
            .await
    };
    is(0, 0, 0).await?;
    stage.publish(Some("a"), 0..5).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    is(4, 1, 0).await?;
    delivery.reject("of no use").await?;
    let delivery = stage.receive(&mut subscriber).await?;
    is(3, 1, 1).await?;
    delivery.retry(Duration::from_hours(1)).await?;
    is(4, 0, 1).await
}

pub(super) async fn the_backlog_tells_its_age(stage: &Stage<'_>) -> Result<(), Failure> {
    /// The server's clock is not ours, and nobody alerts on less.
    const CLOCKS_APART: TimeDelta = TimeDelta::minutes(1);
    /// The times of two messages.
    const APART: Duration = Duration::from_millis(100);
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    let oldest_at = async || {
        let Subscription { topic, name, .. } = &subscription;
        let backlog = stage.bus.backlog(topic, name).await?;
        Ok::<_, Failure>(backlog.oldest_at)
    };
    let becomes = async |what: &str, expected: Option<DateTime<Utc>>| {
        let so = async || Ok(oldest_at().await? == expected);
        stage.eventually(what, so).await
    };
    becomes("nothing has no age", None).await?;
    let before = Utc::now();
    stage.publish(Some("a"), [0]).await?;
    let of_first = oldest_at().await?;
    let told = of_first.ok_or_else(|| Failure::new("a message that waits has no age"))?;
    ensure!(
        told > before - CLOCKS_APART && told < Utc::now() + CLOCKS_APART,
        "what was published at {before} is told to be of {told}"
    );
    // Of the wall's clock, which the time of a runtime that is paused does not move.
    tokio::task::spawn_blocking(|| std::thread::sleep(APART)).await?;
    stage.publish(Some("b"), [1]).await?;
    let mut held = stage.receive_all(&mut subscriber, 2).await?;
    if number(&held[0])? == 0 {
        held.swap(0, 1);
    }
    for delivery in held {
        // The younger one first.
        match number(&delivery)? {
            0 => delivery.retry(Duration::from_secs(1)).await?,
            _ => delivery.ack().await?,
        }
        becomes("the oldest stays, in hand and waiting", of_first).await?;
    }
    let again = of_number(stage, &mut subscriber, 0).await?;
    stage.publish(Some("a"), [2]).await?;
    becomes("the oldest stays, in hand again", of_first).await?;
    again.ack().await?;
    let younger = async || Ok(oldest_at().await?.is_some_and(|time| time > told));
    let what = "the next one is the oldest once the first is settled";
    stage.eventually(what, younger).await?;
    let last = of_number(stage, &mut subscriber, 2).await?;
    if stage.bus.capabilities().dead_letters {
        last.reject("a dead letter has no age").await?;
    } else {
        last.ack().await?;
    }
    becomes("nothing has no age again", None).await
}

/// The next delivery, which must have this number; what a failing server repeats goes by.
async fn of_number(
    stage: &Stage<'_>,
    subscriber: &mut Subscriber,
    expected: u64,
) -> Result<Delivery, Failure> {
    loop {
        let delivery = stage.receive(subscriber).await?;
        let number = number(&delivery)?;
        if number == expected {
            return Ok(delivery);
        }
        ensure!(
            stage.factory.is_disturbed(),
            "{number} came, and {expected} was expected"
        );
        delivery.ack().await?;
    }
}

pub(super) async fn check_tells_that_it_works(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.bus.check().await?;
    let bus = stage.connect().await?;
    bus.close(stage.factory.patience()).await?;
    ensure!(
        bus.check().await.is_err(),
        "a closed bus says that it works"
    );
    Ok(())
}

pub(super) async fn close_ends_every_subscriber(stage: &Stage<'_>) -> Result<(), Failure> {
    let bus = stage.connect().await?;
    let mut busy = subscribe(&bus, &stage.subscription()).await?;
    let mut idle = subscribe(&bus, &stage.subscription()).await?;
    let waiting = tokio::spawn(async move { idle.next().await.map(|delivery| delivery.is_none()) });
    // The first poll of `waiting` may come before or after: both must end.
    bus.close(stage.factory.patience()).await?;
    let ended = timeout(stage.factory.patience(), waiting).await;
    ensure!(
        ended.map_err(|_| Failure::new("a waiting subscriber did not end"))???,
        "it was given a delivery"
    );
    ensure!(
        busy.next().await?.is_none(),
        "a subscriber of a closed bus goes on"
    );
    let again = subscribe(&bus, &stage.subscription()).await;
    ensure!(again.is_err(), "a closed bus can be subscribed to");
    Ok(())
}

pub(super) async fn close_waits_for_what_is_in_flight(stage: &Stage<'_>) -> Result<(), Failure> {
    let bus = stage.connect().await?;
    let subscription = stage.subscription();
    let mut subscriber = subscribe(&bus, &subscription).await?;
    bus.publish(stage.message(Some("a"), 1)?).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let patience = stage.factory.patience();
    let closing = bus.clone();
    let mut closed = tokio::spawn(async move { closing.close(patience).await });
    let early = timeout(stage.factory.watch(), &mut closed).await;
    ensure!(early.is_err(), "it closed with a delivery in flight");
    delivery.ack().await?;
    timeout(patience, closed)
        .await
        .map_err(|_| Failure::new("it did not close"))???;
    Ok(())
}

pub(super) async fn what_is_in_flight_at_close_may_publish(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let bus = stage.connect().await?;
    let mut subscriber = subscribe(&bus, &stage.subscription()).await?;
    bus.publish(stage.message(Some("a"), 1)?).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let patience = stage.factory.patience();
    let closing = bus.clone();
    let closed = tokio::spawn(async move { closing.close(patience).await });
    let ended = timeout(patience, subscriber.next()).await;
    ensure!(
        matches!(ended, Ok(Ok(None))),
        "intake goes on while it closes"
    );
    bus.publish(stage.message(Some("a"), 2)?).await?;
    delivery.ack().await?;
    timeout(patience, closed)
        .await
        .map_err(|_| Failure::new("it did not close"))???;
    Ok(())
}

pub(super) async fn close_flushes_what_is_being_published(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    const MESSAGES: u64 = 50;
    const BEFORE: usize = 10;
    let bus = stage.connect().await?;
    let subscription = stage.subscription();
    // Where connections share subscriptions, another one keeps it; else it ends with the bus.
    let shared = bus.capabilities().multi_process;
    let keeper = if shared { &stage.bus } else { &bus };
    let mut subscriber = subscribe(keeper, &subscription).await?;
    let messages: Result<Vec<_>, _> = (0..MESSAGES).map(|n| stage.message(Some("a"), n)).collect();
    let mut messages = messages?;
    let rest = messages.split_off(BEFORE);
    let publishing = bus.clone();
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let published = tokio::spawn(async move {
        let mut results = publishing.publish_batch(messages).await;
        // Who waits for it closes the bus.
        let _ = began.send(());
        results.extend(publishing.publish_batch(rest).await);
        results
    });
    has_begun.await?;
    tokio::task::yield_now().await;
    bus.close(stage.factory.patience()).await?;
    // Whatever was accepted, before the close or while it went on, is there; what was refused says so.
    let results = published.await?;
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    ensure!(
        accepted >= BEFORE,
        "{accepted} accepted, though the bus was open for {BEFORE}"
    );
    for refused in results.iter().filter_map(|result| result.as_ref().err()) {
        ensure_eq!(
            (refused.kind(), refused.error().kind()),
            (PublishErrorKind::Failed, ErrorKind::Closed),
            "how a closed bus refuses"
        );
    }
    if shared {
        let seen = stage.take_all(&mut subscriber, accepted).await?;
        let expected: Vec<u64> = (0..MESSAGES).take(accepted).collect();
        ensure_eq!(seen, expected, "what was accepted");
        stage.silence(&mut subscriber).await?;
    }
    Ok(())
}

pub(super) async fn close_tells_what_was_left(stage: &Stage<'_>) -> Result<(), Failure> {
    let bus = stage.connect().await?;
    let mut subscriber = subscribe(&bus, &stage.subscription()).await?;
    bus.publish(stage.message(Some("a"), 1)?).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let Err(error) = bus.close(Duration::from_millis(100)).await else {
        return Err(Failure::new("a close with a delivery in flight was clean"));
    };
    ensure_eq!(error.kind(), ErrorKind::Timeout, "the error");
    drop(delivery);
    Ok(())
}

pub(super) async fn messages_survive_a_new_connection(stage: &Stage<'_>) -> Result<(), Failure> {
    let before = stage.connect().await?;
    let subscription = stage.subscription();
    let subscriber = subscribe(&before, &subscription).await?;
    subscriber.close().await;
    stage.publish(Some("a"), 0..20).await?;
    before.close(stage.factory.patience()).await?;
    let after = stage.connect().await?;
    let mut subscriber = subscribe(&after, &subscription).await?;
    let seen = stage.take_all(&mut subscriber, 20).await?;
    ensure_eq!(seen, (0..20).collect::<Vec<_>>(), "what survived");
    Ok(())
}

pub(super) async fn progress_survives_a_new_connection(stage: &Stage<'_>) -> Result<(), Failure> {
    let before = stage.connect().await?;
    let subscription = stage.subscription();
    let mut subscriber = subscribe(&before, &subscription).await?;
    stage.publish(Some("a"), 0..10).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 6).await?,
        (0..6).collect::<Vec<_>>(),
        "the first"
    );
    subscriber.close().await;
    before.close(stage.factory.patience()).await?;
    let after = stage.connect().await?;
    let mut subscriber = subscribe(&after, &subscription).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 4).await?,
        (6..10).collect::<Vec<_>>(),
        "the rest"
    );
    stage.silence(&mut subscriber).await
}

pub(super) async fn attempts_survive_a_new_connection(stage: &Stage<'_>) -> Result<(), Failure> {
    let before = stage.connect().await?;
    let subscription = stage.subscription();
    let mut subscriber = subscribe(&before, &subscription).await?;
    stage.publish(Some("a"), [1]).await?;
    for _ in 0..2 {
        stage
            .receive(&mut subscriber)
            .await?
            .retry(Duration::ZERO)
            .await?;
    }
    subscriber.close().await;
    before.close(stage.factory.patience()).await?;
    let after = stage.connect().await?;
    let mut subscriber = subscribe(&after, &subscription).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(
        delivery.attempt(),
        3,
        "the attempt: what was fetched ahead and never received does not count"
    );
    delivery.ack().await?;
    Ok(())
}

pub(super) async fn a_retry_survives_a_new_connection(stage: &Stage<'_>) -> Result<(), Failure> {
    const AFTER: Duration = Duration::from_millis(1500);
    let before = stage.connect().await?;
    let subscription = stage.subscription();
    let mut subscriber = subscribe(&before, &subscription).await?;
    stage.publish(Some("a"), 0..2).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let asked = Instant::now();
    delivery.retry(AFTER).await?;
    subscriber.close().await;
    before.close(stage.factory.patience()).await?;
    let after = stage.connect().await?;
    let mut subscriber = subscribe(&after, &subscription).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(
        (number(&delivery)?, delivery.attempt()),
        (0, 2),
        "the retry"
    );
    let waited = asked.elapsed();
    ensure!(
        waited >= AFTER,
        "a retry after {AFTER:?} came after {waited:?}"
    );
    delivery.ack().await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [1],
        "the next of the key"
    );
    Ok(())
}

pub(super) async fn connections_share_a_subscription(stage: &Stage<'_>) -> Result<(), Failure> {
    let (one, other) = (stage.connect().await?, stage.connect().await?);
    let subscription = stage.subscription().max_in_flight(3);
    let mut first = subscribe(&one, &subscription).await?;
    let mut second = subscribe(&other, &subscription).await?;
    for n in 0..30 {
        stage.publish(Some(&format!("key-{n}")), [n]).await?;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 30 {
        let next = async {
            tokio::select! {
                delivery = first.next() => delivery,
                delivery = second.next() => delivery,
            }
        };
        let next = timeout(stage.factory.patience(), next).await;
        let next =
            next.map_err(|_| Failure::new(format!("only {} of 30 messages came", seen.len())))?;
        let delivery = next?.ok_or_else(|| Failure::new("a member ended"))?;
        seen.insert(number(&delivery)?);
        delivery.ack().await?;
    }
    Ok(())
}
