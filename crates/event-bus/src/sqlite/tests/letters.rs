//! What is remembered of a message: its headers, when it was first seen and first failed, why it was rejected.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{sleep, timeout};

use super::{directory, message, name, open, topic};
use crate::backend::{Backend, Feed, Incoming, Receipt, Settlement};
use crate::error::ErrorKind;
use crate::filter::Filter;
use crate::sqlite::Sqlite;
use crate::subscription::{Order, Subscription};

async fn receive(feed: &mut dyn Feed) -> Incoming {
    let received = timeout(Duration::from_secs(20), feed.receive()).await;
    received.expect("it comes").unwrap().unwrap()
}

async fn subscribe(bus: &Sqlite) -> Box<dyn Feed> {
    let subscription = Subscription::new(topic(), name()).max_in_flight(1);
    bus.subscribe(subscription).await.unwrap()
}

async fn settle(feed: &dyn Feed, receipt: Receipt, settlement: Settlement) {
    feed.settler().settle(receipt, settlement).await.unwrap();
}

async fn reject(feed: &dyn Feed, receipt: Receipt, reason: &str) {
    let reason = reason.to_owned();
    settle(feed, receipt, Settlement::Reject { reason }).await;
}

/// Times are kept in milliseconds.
fn just_now(time: DateTime<Utc>, since: DateTime<Utc>) -> bool {
    time.timestamp_millis() >= since.timestamp_millis() && time <= Utc::now()
}

#[tokio::test]
async fn headers_come_back_byte_for_byte_from_deliveries_and_dead_letters() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let sent = message(Some("a"), "x")
        .with_header("signature", vec![0, 0xff, 0x27])
        .and_then(|message| message.with_header("empty", ""))
        .and_then(|message| message.with_header("signature", "second"))
        .unwrap();
    let bus = open(&path, "").await;
    bus.publish(vec![sent.clone()]).await.remove(0).unwrap();
    bus.close(Duration::from_secs(5)).await.unwrap();
    let bus = open(&path, "").await;
    let mut feed = subscribe(&bus).await;
    let incoming = receive(feed.as_mut()).await;
    assert_eq!(incoming.body.as_ref().unwrap(), &sent);
    reject(feed.as_ref(), incoming.receipt, "no").await;
    let letters = bus.dead_letters(&topic(), &name(), 1).await.unwrap();
    assert_eq!(letters[0].body.as_ref().unwrap(), &sent);
}

#[tokio::test]
async fn a_message_remembers_when_it_was_first_seen_and_first_failed() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "").await;
    let begun = Utc::now();
    bus.publish(vec![message(Some("a"), "x")])
        .await
        .remove(0)
        .unwrap();
    // Fetched ahead and given back, it was not seen.
    let feed = subscribe(&bus).await;
    while bus.backlog(&topic(), &name()).await.unwrap().in_flight == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    feed.close().await;
    sleep(Duration::from_millis(20)).await;

    let seen = Utc::now();
    let mut feed = subscribe(&bus).await;
    let first = receive(feed.as_mut()).await;
    assert_eq!(first.attempt, 1);
    let first_seen_at = first.first_seen_at.unwrap();
    assert!(just_now(first_seen_at, seen));
    let published = bus.backlog(&topic(), &name()).await.unwrap().oldest_at;
    assert!(just_now(published.unwrap(), begun) && published.unwrap() < seen);
    sleep(Duration::from_millis(20)).await;

    let failed = Utc::now();
    let after = Duration::from_millis(30);
    settle(feed.as_ref(), first.receipt, Settlement::Retry { after }).await;
    let second = receive(feed.as_mut()).await;
    assert_eq!(second.first_seen_at, Some(first_seen_at));
    bus.close(Duration::ZERO).await.unwrap_err();

    // In another process, and after a redrive, still.
    let bus = open(&path, "").await;
    let mut feed = subscribe(&bus).await;
    let mut first_failed_at = None;
    for round in 1..=20 {
        let incoming = receive(feed.as_mut()).await;
        assert_eq!(incoming.first_seen_at, Some(first_seen_at));
        assert_eq!(incoming.attempt, if round == 1 { 3 } else { 1 });
        reject(
            feed.as_ref(),
            incoming.receipt,
            &format!("\"{round}\", it's\0 said"),
        )
        .await;
        let letters = bus.dead_letters(&topic(), &name(), 10).await.unwrap();
        let letter = &letters[0];
        assert!(just_now(letter.first_failed_at, failed));
        assert_eq!(
            *first_failed_at.get_or_insert(letter.first_failed_at),
            letter.first_failed_at
        );
        assert!(letter.first_failed_at < letter.rejected_at);
        let reasons: Vec<String> = (1..=round)
            .rev()
            .take(16)
            .map(|round| format!("\"{round}\", it's\0 said"))
            .collect();
        let reasons: Vec<String> = reasons.into_iter().rev().collect();
        assert_eq!(letter.reasons, reasons);
        let redriven = bus.redrive(&topic(), &name(), 1, &Filter::new()).await;
        assert_eq!(redriven.unwrap(), 1);
    }
    assert_eq!(
        bus.backlog(&topic(), &name()).await.unwrap().oldest_at,
        published
    );
}

#[tokio::test]
async fn a_batch_of_settlements_answers_each() {
    let directory = directory();
    let bus = open(&directory.path().join("bus.db"), "").await;
    let subscription = Subscription::new(topic(), name()).order(Order::Unordered);
    let mut feed = bus.subscribe(subscription).await.unwrap();
    for result in bus
        .publish((0..4).map(|_| message(None, "x")).collect())
        .await
    {
        result.unwrap();
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(receive(feed.as_mut()).await.receipt);
    }
    let after = Duration::from_hours(1);
    let reason = "no".to_owned();
    let batch = vec![
        (held[0], Settlement::Ack),
        (held[1], Settlement::Retry { after }),
        (
            held[0],
            Settlement::Reject {
                reason: reason.clone(),
            },
        ),
        (held[2], Settlement::Reject { reason }),
        (Receipt::new(held[3].id, held[3].fence + 1), Settlement::Ack),
    ];
    let settler = feed.settler();
    let results: Vec<_> = settler
        .settle_batch(batch)
        .await
        .into_iter()
        .map(|result| result.map_err(|error| error.kind()))
        .collect();
    let lost = Err(ErrorKind::LeaseLost);
    assert_eq!(results, [Ok(()), Ok(()), lost, Ok(()), lost]);
    let backlog = bus.backlog(&topic(), &name()).await.unwrap();
    assert_eq!(
        (backlog.waiting, backlog.in_flight, backlog.dead),
        (1, 1, 1)
    );
    assert!(settler.settle_batch(Vec::new()).await.is_empty());
}
