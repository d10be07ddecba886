//! Which messages a subscription is given: filters, where it begins, how much at once.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::time::timeout;

use super::file::raw;
use super::{directory, message, name, open, topic};
use crate::backend::{Backend, Feed, Incoming, Settlement};
use crate::error::ErrorKind;
use crate::filter::Filter;
use crate::message::Message;
use crate::name::{SubscriptionName, TopicName};
use crate::sqlite::{Sqlite, retention};
use crate::subscription::{Order, Start, Subscription};

fn colored(color: &str, data: impl Into<bytes::Bytes>) -> Message {
    let mut message = message(None, data);
    message.event = message.event.with_extension("color", color).unwrap();
    message
}

fn red() -> Filter {
    Filter::new().equals("color", "red")
}

async fn publish(bus: &Sqlite, messages: Vec<Message>) {
    for result in bus.publish(messages).await {
        result.unwrap();
    }
}

async fn receive(feed: &mut dyn Feed) -> Incoming {
    let received = timeout(Duration::from_secs(20), feed.receive()).await;
    received.expect("it comes").unwrap().unwrap()
}

async fn silent(feed: &mut dyn Feed) -> bool {
    timeout(Duration::from_millis(300), feed.receive())
        .await
        .is_err()
}

#[tokio::test]
async fn what_is_not_wanted_is_passed_over_and_settled() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "retain=0s").await;
    let subscription = Subscription::new(topic(), name()).filter(red());
    let mut feed = bus.subscribe(subscription).await.unwrap();
    // More in the way than one transaction looks at.
    let mut messages: Vec<_> = (0..9_000).map(|_| colored("blue", "no")).collect();
    messages.push(colored("red", "yes"));
    publish(&bus, messages).await;
    let incoming = receive(feed.as_mut()).await;
    assert_eq!(incoming.position, "9001");
    let mut connection = raw(&path).await;
    let made: i64 = sqlx::query_scalar("SELECT count(*) FROM delivery")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(made, 1, "no delivery is made of what is not wanted");
    let backlog = bus.backlog(&topic(), &name()).await.unwrap();
    assert_eq!((backlog.waiting, backlog.in_flight), (0, 1));
    retention::trim(&bus.shared).await.unwrap();
    let left: Vec<i64> = sqlx::query_scalar("SELECT sequence FROM message")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(left, [9_001], "it is settled for this subscription");
}

#[tokio::test]
async fn bytes_that_are_no_event_pass_the_empty_filter_only() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "poll=20ms").await;
    let all = Subscription::new(topic(), SubscriptionName::new("all").unwrap());
    let mut all = bus.subscribe(all).await.unwrap();
    let some = Subscription::new(topic(), name()).filter(red());
    let mut some = bus.subscribe(some).await.unwrap();
    sqlx::query("INSERT INTO message (topic_id, message_key, published_at, attributes) VALUES (1, 'k', 0, '?')")
        .execute(&mut raw(&path).await)
        .await
        .unwrap();
    publish(&bus, vec![colored("red", "x")]).await;
    assert_eq!(receive(some.as_mut()).await.position, "2");
    let garbage = receive(all.as_mut()).await;
    assert_eq!(garbage.position, "1");
    assert_eq!(garbage.body.unwrap_err().key.as_deref(), Some(&b"k"[..]));
}

#[tokio::test]
async fn no_more_bytes_are_held_than_agreed_but_one_always_fits() {
    let directory = directory();
    let bus = open(&directory.path().join("bus.db"), "poll=20ms").await;
    let subscription = Subscription::new(topic(), name())
        .order(Order::Unordered)
        .max_bytes_in_flight(10_000);
    let mut feed = bus.subscribe(subscription).await.unwrap();
    let settler = feed.settler();
    let sizes = [4_000, 4_000, 4_000, 30_000, 100];
    let of_size = |size: usize| message(None, "x".repeat(size));
    publish(&bus, sizes.into_iter().map(of_size).collect()).await;
    let first = receive(feed.as_mut()).await;
    let second = receive(feed.as_mut()).await;
    assert!(silent(feed.as_mut()).await, "a third does not fit");
    settler
        .settle(second.receipt, Settlement::Ack)
        .await
        .unwrap();
    let third = receive(feed.as_mut()).await;
    assert!(silent(feed.as_mut()).await, "the large one waits");
    settler
        .settle(first.receipt, Settlement::Ack)
        .await
        .unwrap();
    assert!(silent(feed.as_mut()).await, "until nothing else is held");
    settler
        .settle(third.receipt, Settlement::Ack)
        .await
        .unwrap();
    let large = receive(feed.as_mut()).await;
    assert_eq!(large.position, "4");
    assert!(silent(feed.as_mut()).await, "and then it is alone");
    settler
        .settle(large.receipt, Settlement::Ack)
        .await
        .unwrap();
    assert_eq!(receive(feed.as_mut()).await.position, "5");
}

async fn first_of(bus: &Sqlite, name: &str, start: Start) -> String {
    let subscription =
        Subscription::new(topic(), SubscriptionName::new(name).unwrap()).start(start);
    let mut feed = bus.subscribe(subscription).await.unwrap();
    receive(feed.as_mut()).await.position
}

#[tokio::test]
async fn a_subscription_begins_where_it_is_told() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "").await;
    publish(&bus, (0..5).map(|_| message(None, "x")).collect()).await;
    let begun = Utc::now() - TimeDelta::hours(1);
    let millis = begun.timestamp_millis();
    let mut connection = raw(&path).await;
    sqlx::query("UPDATE message SET published_at = ?1 + 1000 * sequence")
        .bind(millis)
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("DELETE FROM message WHERE sequence = 3")
        .execute(&mut connection)
        .await
        .unwrap();
    let at = |position: &str| Start::Position(position.to_owned());
    assert_eq!(first_of(&bus, "at-2", at("2")).await, "2");
    assert_eq!(first_of(&bus, "at-3", at("3")).await, "4", "it is gone");
    let since = |seconds: i64| Start::Time(begun + TimeDelta::seconds(seconds));
    assert_eq!(first_of(&bus, "since-2", since(2)).await, "2");
    let between = Start::Time(begun + TimeDelta::milliseconds(2_001));
    assert_eq!(first_of(&bus, "since-between", between).await, "4");
    assert_eq!(first_of(&bus, "since-before", since(-100)).await, "1");
    for (name, start) in [("at-6", at("6")), ("since-now", since(1_000))] {
        let subscription =
            Subscription::new(topic(), SubscriptionName::new(name).unwrap()).start(start);
        let mut feed = bus.subscribe(subscription).await.unwrap();
        assert!(silent(feed.as_mut()).await, "nothing is there yet");
    }
    publish(&bus, vec![message(None, "new")]).await;
    for name in ["at-6", "since-now"] {
        // It is where it was made: a later start does not move it.
        assert_eq!(first_of(&bus, name, Start::Earliest).await, "6");
    }
    for nonsense in ["", "soon", "0", "-1", "1.5", "99999999999999999999"] {
        let subscription =
            Subscription::new(topic(), SubscriptionName::new("no").unwrap()).start(at(nonsense));
        let Err(error) = bus.subscribe(subscription).await else {
            panic!("{nonsense:?} was taken");
        };
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("whole numbers"), "{error}");
    }
}

#[tokio::test]
async fn topics_are_listed() {
    let directory = directory();
    let bus = open(&directory.path().join("bus.db"), "").await;
    assert_eq!(bus.topics().await.unwrap(), []);
    let other = TopicName::new("another").unwrap();
    publish(
        &bus,
        vec![
            message(None, "x"),
            message(None, "x").with_topic(other.clone()),
        ],
    )
    .await;
    assert_eq!(bus.topics().await.unwrap(), [other, topic()]);
    bus.close(Duration::from_secs(5)).await.unwrap();
    assert_eq!(bus.topics().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_redrive_takes_what_its_filter_wants_however_much_lies_between() {
    let directory = directory();
    let bus = open(&directory.path().join("bus.db"), "").await;
    let subscription = Subscription::new(topic(), name())
        .order(Order::Unordered)
        .max_in_flight(3_000);
    let mut feed = bus.subscribe(subscription).await.unwrap();
    let settler = feed.settler();
    // More than one step of a redrive looks at.
    let color = |n: u32| {
        if n.is_multiple_of(1_100) {
            "red"
        } else {
            "blue"
        }
    };
    publish(&bus, (0..2_500).map(|n| colored(color(n), "x")).collect()).await;
    let mut rejections = Vec::new();
    for _ in 0..2_500 {
        let reason = "no".to_owned();
        let receipt = receive(feed.as_mut()).await.receipt;
        rejections.push((receipt, Settlement::Reject { reason }));
    }
    for result in settler.settle_batch(rejections).await {
        result.unwrap();
    }
    let redriven = bus.redrive(&topic(), &name(), 2, &red()).await.unwrap();
    assert_eq!(redriven, 2, "no more than asked for");
    let redriven = bus
        .redrive(&topic(), &name(), usize::MAX, &red())
        .await
        .unwrap();
    assert_eq!(redriven, 1, "the rest");
    for expected in ["1", "1101", "2201"] {
        let incoming = receive(feed.as_mut()).await;
        assert_eq!(
            (incoming.position.as_str(), incoming.attempt),
            (expected, 1)
        );
    }
    let rest = bus
        .redrive(&topic(), &name(), usize::MAX, &Filter::new())
        .await
        .unwrap();
    assert_eq!(rest, 2_497);
}
