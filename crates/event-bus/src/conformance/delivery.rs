//! Cases about deliveries: who gets them, how often, and what settling does.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, number, subscribe};
use crate::backend::{Feed, Incoming, Settlement};
use crate::delivery::Delivery;
use crate::error::ErrorKind;
use crate::message::Message;
use crate::subscription::{Order, Start, Subscription};

pub(super) async fn every_subscription_sees_every_message(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let mut first = stage.subscribe(&stage.subscription()).await?;
    let mut second = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), 0..10).await?;
    let expected: Vec<u64> = (0..10).collect();
    ensure_eq!(
        stage.take_all(&mut first, 10).await?,
        expected,
        "what the first subscription saw"
    );
    ensure_eq!(
        stage.take_all(&mut second, 10).await?,
        expected,
        "what the second subscription saw"
    );
    Ok(())
}

pub(super) async fn members_share_the_messages(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription().max_in_flight(4);
    let mut first = stage.subscribe(&subscription).await?;
    let mut second = stage.subscribe(&subscription).await?;
    for n in 0..40 {
        stage.publish(Some(&format!("key-{n}")), [n]).await?;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 40 {
        let next = async {
            tokio::select! {
                delivery = first.next() => delivery,
                delivery = second.next() => delivery,
            }
        };
        let next = timeout(stage.factory.patience(), next).await;
        let next =
            next.map_err(|_| Failure::new(format!("only {} of 40 messages came", seen.len())))?;
        let delivery = next?.ok_or_else(|| Failure::new("a member ended"))?;
        let number = number(&delivery)?;
        delivery.ack().await?;
        ensure!(seen.insert(number), "both members were given {number}");
    }
    stage.silence(&mut first).await?;
    stage.silence(&mut second).await
}

pub(super) async fn what_was_acked_stays_away(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.publish(Some("a"), 0..3).await?;
    stage.take_all(&mut subscriber, 3).await?;
    subscriber.close().await;
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.silence(&mut subscriber).await?;
    stage.publish(Some("a"), [3]).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [3],
        "what came after"
    );
    Ok(())
}

pub(super) async fn a_retry_is_the_next_attempt(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), [1]).await?;
    for attempt in 1..=4 {
        let delivery = stage.receive(&mut subscriber).await?;
        ensure_eq!(delivery.attempt(), attempt, "the attempt");
        delivery.retry(Duration::ZERO).await?;
    }
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(delivery.attempt(), 5, "the attempt");
    delivery.ack().await?;
    stage.silence(&mut subscriber).await
}

pub(super) async fn a_retry_is_never_early(stage: &Stage<'_>) -> Result<(), Failure> {
    const AFTER: Duration = Duration::from_millis(400);
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), [1]).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let asked = Instant::now();
    delivery.retry(AFTER).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let waited = asked.elapsed();
    ensure!(
        waited >= AFTER,
        "a retry after {AFTER:?} came after {waited:?}"
    );
    delivery.ack().await?;
    Ok(())
}

pub(super) async fn a_dropped_delivery_comes_back(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), [1]).await?;
    drop(stage.receive(&mut subscriber).await?);
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(number(&delivery)?, 1, "the message dropped");
    ensure!(
        delivery.attempt() >= 2,
        "a dropped delivery counts as an attempt"
    );
    delivery.ack().await?;
    stage.silence(&mut subscriber).await
}

pub(super) async fn what_was_unsettled_at_close_comes_back(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    for n in 0..6 {
        stage.publish(Some(&format!("key-{n}")), [n]).await?;
    }
    let held = stage.receive_all(&mut subscriber, 3).await?;
    subscriber.close().await;
    drop(held);
    let mut subscriber = stage.subscribe(&subscription).await?;
    let seen: BTreeSet<u64> = stage
        .take_all(&mut subscriber, 6)
        .await?
        .into_iter()
        .collect();
    ensure_eq!(seen, (0..6).collect(), "what came back");
    Ok(())
}

pub(super) async fn settlements_come_in_any_order(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription().order(Order::Unordered);
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.publish(None, 0..12).await?;
    let mut held = stage.receive_all(&mut subscriber, 12).await?;
    // Odd ones first, backwards; then the others.
    while let Some(at) = held
        .iter()
        .rposition(|delivery| number(delivery).is_ok_and(|n| n % 2 == 1))
    {
        held.remove(at).ack().await?;
    }
    for delivery in held {
        delivery.ack().await?;
    }
    subscriber.close().await;
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.silence(&mut subscriber).await
}

pub(super) async fn another_task_settles(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), 0..2).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let settled = tokio::spawn(delivery.ack());
    settled.await??;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [1],
        "what came after"
    );
    Ok(())
}

pub(super) async fn waiting_can_be_cancelled(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage
        .subscribe(&stage.subscription().max_in_flight(2))
        .await?;
    let deadline = Instant::now() + stage.factory.patience();
    for n in 0..20 {
        stage.publish(Some(&format!("key-{}", n % 4)), [n]).await?;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 20 {
        ensure!(
            Instant::now() < deadline,
            "only {seen:?} came between cancelled calls"
        );
        let Ok(next) = timeout(Duration::from_millis(1), subscriber.next()).await else {
            continue;
        };
        let delivery = next?.ok_or_else(|| Failure::new("the subscriber ended"))?;
        let number = number(&delivery)?;
        ensure_eq!(delivery.attempt(), 1, "the attempt of {number}");
        delivery.ack().await?;
        ensure!(seen.insert(number), "{number} came twice");
    }
    Ok(())
}

pub(super) async fn no_more_in_flight_than_agreed(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage
        .subscribe(&stage.subscription().max_in_flight(5))
        .await?;
    for n in 0..12 {
        stage.publish(Some(&format!("key-{n}")), [n]).await?;
    }
    let mut held = stage.receive_all(&mut subscriber, 5).await?;
    stage.silence(&mut subscriber).await?;
    while let Some(delivery) = held.pop() {
        delivery.ack().await?;
        if held.len() < 2 {
            break;
        }
    }
    let more = stage.receive_all(&mut subscriber, 4).await?;
    stage.silence(&mut subscriber).await?;
    for delivery in held.into_iter().chain(more) {
        delivery.ack().await?;
    }
    stage.take_all(&mut subscriber, 3).await?;
    Ok(())
}

pub(super) async fn no_more_bytes_in_flight_than_agreed(stage: &Stage<'_>) -> Result<(), Failure> {
    const SIZE: usize = 10_000;
    let subscription = stage
        .subscription()
        .max_bytes_in_flight(3 * SIZE + SIZE / 2);
    let mut subscriber = stage.subscribe(&subscription).await?;
    let sized = |n: u64, size| {
        let Message { topic, event, .. } = stage.message(Some(&format!("key-{n}")), n)?;
        let event = event.with_data("application/octet-stream", vec![b'x'; size])?;
        Ok::<_, Failure>(Message::new(topic, event))
    };
    for n in 0..8 {
        stage.bus.publish(sized(n, SIZE)?).await?;
    }
    let mut held = stage.receive_all(&mut subscriber, 3).await?;
    stage.silence(&mut subscriber).await?;
    for _ in 3..8 {
        held.remove(0).ack().await?;
        held.push(stage.receive(&mut subscriber).await?);
        stage.silence(&mut subscriber).await?;
    }
    // One alone is handed out whatever its size, or it would wait for ever.
    stage.bus.publish(sized(8, 5 * SIZE)?).await?;
    stage.silence(&mut subscriber).await?;
    for delivery in held {
        delivery.ack().await?;
    }
    let alone = stage.receive(&mut subscriber).await?;
    let size = alone.message().event.data().map_or(0, Bytes::len);
    ensure_eq!(size, 5 * SIZE, "the size of the last");
    alone.ack().await?;
    Ok(())
}

pub(super) async fn a_slow_consumer_holds_no_more_than_agreed(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    const MESSAGES: u64 = 300;
    const KEYS: u64 = 30;
    const HELD: usize = 10;
    let subscription = stage.subscription().max_in_flight(HELD);
    let mut subscriber = stage.subscribe(&subscription).await?;
    let mut other = stage.subscribe(&stage.subscription()).await?;
    for from in (0..MESSAGES).step_by(100) {
        let keyed = |n: u64| stage.message(Some(&format!("key-{}", n % KEYS)), n);
        let messages: Result<Vec<_>, _> = (from..from + 100).map(keyed).collect();
        for result in stage.bus.publish_batch(messages?).await {
            result?;
        }
    }
    // One subscription stands still, with as much in hand as it may have and as many keys waiting for a hand; the other,
    // and the publishers, do not notice.
    let held = stage.receive_all(&mut subscriber, HELD).await?;
    stage.silence(&mut subscriber).await?;
    let all: BTreeSet<u64> = (0..MESSAGES).collect();
    let seen = stage.take_all(&mut other, all.len()).await?;
    ensure_eq!(
        seen.into_iter().collect::<BTreeSet<_>>(),
        all,
        "what the other saw"
    );
    stage.silence(&mut subscriber).await?;
    let Subscription { topic, name, .. } = &subscription;
    let backlog = stage.bus.backlog(topic, name).await?;
    ensure!(
        backlog.in_flight <= HELD as u64,
        "{} in flight of a subscriber that may hold {HELD}",
        backlog.in_flight
    );
    if stage.bus.capabilities().exact_backlog {
        stage
            .eventually("what is not in flight waits", async || {
                let backlog = stage.bus.backlog(topic, name).await?;
                Ok(backlog.in_flight + backlog.waiting == MESSAGES)
            })
            .await?;
    }
    let mut seen = BTreeSet::new();
    for delivery in held {
        seen.insert(number(&delivery)?);
        delivery.ack().await?;
    }
    let left = all.len() - seen.len();
    seen.extend(stage.take_all(&mut subscriber, left).await?);
    ensure_eq!(seen, all, "what the slow one saw");
    stage.silence(&mut subscriber).await
}

pub(super) async fn when_it_was_first_seen_stays(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), [1]).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let first_seen = delivery.first_seen_at();
    // A second for the clock of a server.
    let tolerance = chrono::TimeDelta::seconds(1);
    ensure!(
        first_seen <= delivery.received_at() + tolerance,
        "first seen {first_seen}, received {}",
        delivery.received_at()
    );
    delivery.retry(Duration::from_millis(50)).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(delivery.attempt(), 2, "the attempt");
    ensure_eq!(
        delivery.first_seen_at(),
        first_seen,
        "when the message was first seen"
    );
    delivery.ack().await?;
    Ok(())
}

pub(super) async fn batches_are_taken_and_settled(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription().order(Order::Unordered);
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.publish(None, 0..25).await?;
    let mut seen = BTreeSet::new();
    let deadline = Instant::now() + stage.factory.patience();
    while seen.len() < 25 {
        ensure!(Instant::now() < deadline, "only {seen:?} came");
        let batch = timeout(
            stage.factory.patience(),
            subscriber.next_batch(10, stage.factory.watch()),
        );
        let batch = batch.await.map_err(|_| Failure::new("no batch came"))??;
        ensure!(
            !batch.is_empty() && batch.len() <= 10,
            "a batch of {} where 1 to 10 were asked for",
            batch.len()
        );
        for delivery in &batch {
            ensure!(seen.insert(number(delivery)?), "{delivery:?} came twice");
        }
        for result in Delivery::ack_all(batch).await {
            result?;
        }
    }
    subscriber.close().await;
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.silence(&mut subscriber).await
}

pub(super) async fn a_delivery_is_kept_beyond_its_lease(stage: &Stage<'_>) -> Result<(), Failure> {
    let (one, other) = (stage.connect().await?, stage.connect().await?);
    // A machine that stands still for longer than a lease loses it, as it must. Over ever longer leases it does not each time;
    // a backend that does not extend them does. The first is the shortest that all backends take.
    let mut lost = String::new();
    for lease in [2, 5, 12].map(Duration::from_secs) {
        let subscription = stage.subscription().lease(lease);
        let mut first = subscribe(&one, &subscription).await?;
        stage.publish(Some("a"), [1]).await?;
        let delivery = stage.receive(&mut first).await?;
        let mut second = subscribe(&other, &subscription).await?;
        // Its holder lives: nobody else is given it, and the settlement holds.
        match timeout(lease * 2 + lease / 2, second.next()).await {
            Ok(taken) => lost = format!("another was given {:?}", taken?),
            Err(_) => match delivery.ack().await {
                Ok(()) => return stage.silence(&mut second).await,
                Err(error) => lost = format!("its settlement failed: {error}"),
            },
        }
    }
    Err(Failure::new(format!(
        "what was held was lost under each of three leases, at last: {lost}"
    )))
}

pub(super) async fn unordered_runs_one_key_in_parallel(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription().order(Order::Unordered);
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.publish(Some("same"), 0..5).await?;
    for delivery in stage.receive_all(&mut subscriber, 5).await? {
        delivery.ack().await?;
    }
    Ok(())
}

pub(super) async fn earliest_sees_what_came_before(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.publish(Some("a"), 0..3).await?;
    let mut subscriber = stage
        .subscribe(&stage.subscription().start(Start::Earliest))
        .await?;
    stage.publish(Some("a"), 3..5).await?;
    let seen = stage.take_all(&mut subscriber, 5).await?;
    ensure_eq!(seen, [0, 1, 2, 3, 4], "what an earliest subscription saw");
    Ok(())
}

pub(super) async fn latest_sees_only_what_comes_after(stage: &Stage<'_>) -> Result<(), Failure> {
    // With another subscription there, so that the first messages have somewhere to go on every backend.
    let mut other = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), 0..3).await?;
    let mut subscriber = stage
        .subscribe(&stage.subscription().start(Start::Latest))
        .await?;
    stage.publish(Some("a"), 3..5).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 2).await?,
        [3, 4],
        "what a latest subscription saw"
    );
    stage.silence(&mut subscriber).await?;
    ensure_eq!(
        stage.take_all(&mut other, 5).await?,
        [0, 1, 2, 3, 4],
        "what the other saw"
    );
    Ok(())
}

pub(super) async fn a_receipt_settles_once(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut feed = stage.bus.backend().subscribe(stage.subscription()).await?;
    stage.publish(Some("a"), 0..2).await?;
    let settler = feed.settler();
    let first = receive_raw(stage, feed.as_mut()).await?;
    settler.settle(first.receipt, Settlement::Ack).await?;
    for again in [
        Settlement::Ack,
        Settlement::Retry {
            after: Duration::ZERO,
        },
    ] {
        let Err(error) = settler.settle(first.receipt, again.clone()).await else {
            return Err(Failure::new(format!(
                "settled a second time with {again:?}"
            )));
        };
        ensure_eq!(
            error.kind(),
            ErrorKind::LeaseLost,
            "the error of a second settlement"
        );
    }
    settler.release(first.receipt);
    let second = receive_raw(stage, feed.as_mut()).await?;
    ensure!(
        second.position != first.position,
        "a settled message came back"
    );
    settler.settle(second.receipt, Settlement::Ack).await?;
    feed.close().await;
    Ok(())
}

pub(super) async fn a_receipt_taken_over_is_refused(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut feed = stage.bus.backend().subscribe(stage.subscription()).await?;
    stage.publish(Some("a"), [1]).await?;
    let settler = feed.settler();
    let first = receive_raw(stage, feed.as_mut()).await?;
    settler.release(first.receipt);
    let second = receive_raw(stage, feed.as_mut()).await?;
    ensure!(
        second.receipt != first.receipt,
        "two deliveries share one receipt"
    );
    let Err(error) = settler.settle(first.receipt, Settlement::Ack).await else {
        return Err(Failure::new(
            "a delivery taken over was settled by its former holder",
        ));
    };
    ensure_eq!(
        error.kind(),
        ErrorKind::LeaseLost,
        "the error of the former holder"
    );
    settler.settle(second.receipt, Settlement::Ack).await?;
    feed.close().await;
    Ok(())
}

async fn receive_raw(stage: &Stage<'_>, feed: &mut dyn Feed) -> Result<Incoming, Failure> {
    let next = timeout(stage.factory.patience(), feed.receive()).await;
    let next = next.map_err(|_| Failure::new("no delivery came"))?;
    next?.ok_or_else(|| Failure::new("the feed ended"))
}
