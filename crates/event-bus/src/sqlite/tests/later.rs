//! Messages that are not due yet.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::timeout;

use super::file::{NoMorePages, raw};
use super::{directory, message, name, open, topic};
use crate::backend::{Backend, Feed, Incoming, Settlement};
use crate::message::Message;
use crate::sqlite::{Sqlite, retention};
use crate::subscription::Subscription;

fn later(key: &str, data: &str, delay: Duration) -> (Message, DateTime<Utc>) {
    let message = message(Some(key), data.to_owned()).with_delay(delay);
    let due = message.deliver_at.unwrap();
    (message, due)
}

async fn receive(feed: &mut dyn Feed) -> Incoming {
    let received = timeout(Duration::from_secs(20), feed.receive()).await;
    received.expect("it comes").unwrap().unwrap()
}

async fn subscribe(bus: &Sqlite) -> Box<dyn Feed> {
    let subscription = Subscription::new(topic(), name());
    bus.subscribe(subscription).await.unwrap()
}

fn data(incoming: &Incoming) -> String {
    let message = incoming.body.as_ref().unwrap();
    String::from_utf8_lossy(message.event.data().unwrap()).into_owned()
}

#[tokio::test]
async fn due_messages_take_their_place_when_they_are_due_and_not_before() {
    let directory = directory();
    let bus = open(&directory.path().join("bus.db"), "").await;
    let mut feed = subscribe(&bus).await;
    let (second, second_due) = later("a", "second", Duration::from_millis(500));
    let (third, third_due) = later("a", "third", Duration::from_millis(900));
    let mut passed = message(Some("a"), "at once");
    passed.deliver_at = Some(Utc::now() - Duration::from_hours(1));
    let results = bus
        .publish(vec![third, second, message(Some("a"), "first"), passed])
        .await;
    let positions: Vec<_> = results
        .into_iter()
        .map(|result| result.unwrap().position)
        .collect();
    // What waits has no position yet.
    assert_eq!(positions, [None, None, Some("1".into()), Some("2".into())]);
    for (expected, due) in [
        ("first", None),
        ("at once", None),
        ("second", Some(second_due)),
        ("third", Some(third_due)),
    ] {
        let incoming = receive(feed.as_mut()).await;
        let now = Utc::now();
        assert_eq!(data(&incoming), expected);
        assert!(due.is_none_or(|due| due <= now), "{expected} came early");
        assert_eq!(incoming.body.as_ref().unwrap().deliver_at, None);
        feed.settler()
            .settle(incoming.receipt, Settlement::Ack)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_waits_outlives_its_publisher_and_is_delivered_by_another() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let other = open(&path, "poll=20ms").await;
    let mut feed = subscribe(&other).await;
    let publisher = open(&path, "retain=0s").await;
    let (message, due) = later("a", "later", Duration::from_millis(700));
    publisher.publish(vec![message]).await.remove(0).unwrap();
    // Retention has nothing to do with it, and a close leaves it there.
    assert_eq!(retention::trim(&publisher.shared).await.unwrap(), 0);
    publisher.close(Duration::from_secs(5)).await.unwrap();
    let incoming = receive(feed.as_mut()).await;
    assert!(Utc::now() >= due);
    assert_eq!(data(&incoming), "later");
    // When it was published is when it was due: before, it was as if it had not been.
    let backlog = other.backlog(&topic(), &name()).await.unwrap();
    assert!(backlog.oldest_at.unwrap() >= due);
}

#[tokio::test]
async fn what_became_due_while_nobody_was_there_comes_first_and_in_order() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "").await;
    let delayed = |n: u64| later("a", &n.to_string(), Duration::from_millis(300 - n * 20)).0;
    for result in bus.publish((0..10).map(delayed).collect()).await {
        result.unwrap();
    }
    bus.close(Duration::from_secs(5)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(350)).await;
    let bus = open(&path, "").await;
    bus.publish(vec![message(Some("a"), "new")])
        .await
        .remove(0)
        .unwrap();
    let mut feed = subscribe(&bus).await;
    for expected in ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0", "new"] {
        let incoming = receive(feed.as_mut()).await;
        assert_eq!(data(&incoming), expected);
        feed.settler()
            .settle(incoming.receipt, Settlement::Ack)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn more_than_one_transaction_takes_is_appended_in_several() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "").await;
    let large = "x".repeat(3 * 1024 * 1024);
    let delayed = |n: u64| {
        let data = if n < 20 { large.as_str() } else { "small" };
        later("a", data, Duration::from_hours(1)).0
    };
    for result in bus.publish((0..2500).map(delayed).collect()).await {
        assert_eq!(result.unwrap().position, None);
    }
    sqlx::query("UPDATE scheduled SET due = 1000")
        .execute(&mut raw(&path).await)
        .await
        .unwrap();
    let appended = async {
        loop {
            let mut connection = raw(&path).await;
            let counts: (i64, i64) = sqlx::query_as(
                "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM scheduled)",
            )
            .fetch_one(&mut connection)
            .await
            .unwrap();
            if counts == (2500, 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(30), appended)
        .await
        .expect("all are appended");
}

#[tokio::test]
async fn what_has_no_room_when_it_is_due_stays_and_hinders_nothing() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "").await;
    let mut feed = subscribe(&bus).await;
    bus.publish(vec![message(Some("b"), "before")])
        .await
        .remove(0)
        .unwrap();
    let held = receive(feed.as_mut()).await;
    let large = "x".repeat(500_000);
    let (large, _) = later("a", &large, Duration::from_millis(300));
    bus.publish(vec![large]).await.remove(0).unwrap();
    // The table of the scheduled gives its pages back only after the log has taken as many.
    bus.shared.work(NoMorePages).await.unwrap();
    tokio::time::sleep(Duration::from_millis(350)).await;
    feed.settler()
        .settle(held.receipt, Settlement::Ack)
        .await
        .expect("what is small is done all the same");
    // There is room again: a new connection does not know the limit.
    let incoming = receive(feed.as_mut()).await;
    assert_eq!(data(&incoming).len(), 500_000);
}
