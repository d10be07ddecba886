//! Cases about order per key.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, key, number};

pub(super) async fn keys_keep_their_order(stage: &Stage<'_>) -> Result<(), Failure> {
    const KEYS: u64 = 10;
    const EACH: u64 = 15;
    let mut subscriber = stage
        .subscribe(&stage.subscription().max_in_flight(6))
        .await?;
    for n in 0..EACH {
        for k in 0..KEYS {
            stage.publish(Some(&format!("key-{k}")), [n]).await?;
        }
    }
    let mut held: BTreeMap<String, crate::delivery::Delivery> = BTreeMap::new();
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let mut settled = 0;
    while settled < KEYS * EACH {
        // Holds up to six, then settles one from the middle: what is in flight overlaps all the time.
        if held.len() < 6
            && let Ok(delivery) =
                timeout(Duration::from_millis(20), stage.receive(&mut subscriber)).await
        {
            let delivery = delivery?;
            let (key, number) = (key(&delivery)?, number(&delivery)?);
            ensure!(
                !held.contains_key(&key),
                "{key}: {number} came while another is in flight"
            );
            ensure_eq!(
                number,
                *next.entry(key.clone()).or_default(),
                "the next of {key}"
            );
            held.insert(key, delivery);
            continue;
        }
        let middle = held.keys().nth(held.len() / 2).cloned();
        let Some(delivery) = middle.and_then(|key| held.remove(&key)) else {
            continue;
        };
        *next.entry(key(&delivery)?).or_default() += 1;
        delivery.ack().await?;
        settled += 1;
    }
    stage.silence(&mut subscriber).await
}

pub(super) async fn a_key_waits_for_its_retry(stage: &Stage<'_>) -> Result<(), Failure> {
    // Time enough for the other key, on a slow disk as well.
    const AFTER: Duration = Duration::from_secs(3);
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), 0..3).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(number(&delivery)?, 0, "the first of the key");
    let asked = Instant::now();
    delivery.retry(AFTER).await?;
    stage.publish(Some("b"), 10..13).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 3).await?,
        [10, 11, 12],
        "what came meanwhile"
    );
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(
        (number(&delivery)?, delivery.attempt()),
        (0, 2),
        "the retry"
    );
    ensure!(asked.elapsed() >= AFTER, "the retry was early");
    delivery.ack().await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 2).await?,
        [1, 2],
        "the rest of the key"
    );
    Ok(())
}

pub(super) async fn a_waiting_key_delays_no_other(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage
        .subscribe(&stage.subscription().max_in_flight(4))
        .await?;
    // Many more of the waiting key than may be in flight, before the others. Its first is taken before there are others:
    // between keys nothing promises an order.
    stage.publish(Some("slow"), 0..50).await?;
    let slow = stage.receive(&mut subscriber).await?;
    ensure_eq!(number(&slow)?, 0, "the first of the slow key");
    stage.publish(Some("quick"), 100..110).await?;
    let quick = stage.take_all(&mut subscriber, 10).await?;
    ensure_eq!(
        quick,
        (100..110).collect::<Vec<_>>(),
        "the quick key, while the slow one waits"
    );
    slow.ack().await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 49).await?,
        (1..50).collect::<Vec<_>>(),
        "the slow key"
    );
    Ok(())
}

pub(super) async fn a_dropped_delivery_keeps_its_place(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), 0..3).await?;
    for _ in 0..2 {
        let delivery = stage.receive(&mut subscriber).await?;
        ensure_eq!(number(&delivery)?, 0, "the first of the key");
        drop(delivery);
    }
    ensure_eq!(
        stage.take_all(&mut subscriber, 3).await?,
        [0, 1, 2],
        "the key, from where it was dropped"
    );
    Ok(())
}

pub(super) async fn members_come_and_go_and_order_stays(stage: &Stage<'_>) -> Result<(), Failure> {
    const KEYS: u64 = 4;
    const EACH: u64 = 12;
    let subscription = stage.subscription().max_in_flight(8);
    let mut members = vec![stage.subscribe(&subscription).await?];
    for n in 0..EACH {
        for k in 0..KEYS {
            stage.publish(Some(&format!("key-{k}")), [n]).await?;
        }
    }
    let deadline = Instant::now() + stage.factory.patience() * 2;
    // The number that each key may reach: all before it are settled. At least once allows repetitions, never a gap.
    let mut open: BTreeMap<String, u64> = BTreeMap::new();
    // Members change after deliveries, not after time: a broker that needs seconds to share work out anew must get to hand
    // something out in between, or the case would measure its pace.
    let (mut step, mut turn, mut changed_at) = (0_u64, 0_u64, 0_u64);
    while open.values().sum::<u64>() < KEYS * EACH {
        ensure!(Instant::now() < deadline, "not all came: {open:?}");
        turn += 1;
        if step != changed_at && step.is_multiple_of(5) && members.len() < 3 {
            members.push(stage.subscribe(&subscription).await?);
            changed_at = step;
        } else if step != changed_at && step.is_multiple_of(7) && members.len() > 1 {
            members.remove(0).close().await;
            changed_at = step;
        }
        let count = members.len() as u64;
        let member = &mut members[usize::try_from(turn % count)?];
        let Ok(next) = timeout(Duration::from_millis(50), member.next()).await else {
            continue;
        };
        step += 1;
        let delivery = next?.ok_or_else(|| Failure::new("a member ended"))?;
        let (key, number) = (key(&delivery)?, number(&delivery)?);
        let reached = open.entry(key.clone()).or_default();
        ensure!(
            number <= *reached,
            "{key}: {number} came before {reached} was settled"
        );
        if step.is_multiple_of(3) {
            drop(delivery);
        } else {
            delivery.ack().await?;
            *reached = (*reached).max(number + 1);
        }
    }
    Ok(())
}

pub(super) async fn without_a_key_nothing_waits(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    stage.publish(None, 0..5).await?;
    for delivery in stage.receive_all(&mut subscriber, 5).await? {
        delivery.ack().await?;
    }
    Ok(())
}
