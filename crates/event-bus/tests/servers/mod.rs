//! What tests against real servers share: where the server is, names nobody else uses, bounded waiting.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use commerce_contracts::CloudEvent;
use commerce_event_bus::conformance::{self, Factory};
use commerce_event_bus::{
    Clock, Delivery, Error, EventBus, Message, Subscriber, Subscription, SubscriptionName,
    TopicName,
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// How long a step that must happen may take: joining a group on a busy machine takes seconds.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The server that a variable names. Without one the test says that it was skipped; in CI that is a failure.
pub(crate) fn server(variable: &str) -> Option<String> {
    if let Ok(url) = std::env::var(variable)
        && !url.is_empty()
    {
        return Some(url);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{variable} is not set, and in CI nothing is skipped"
    );
    println!("skipped: {variable} is not set");
    None
}

/// The URL with more settings.
pub(crate) fn with_settings(url: &str, settings: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{settings}")
}

/// Connections that take this clock for the time of day.
pub(crate) async fn connect_with_clock(
    url: &str,
    clock: &Clock,
    connections: usize,
) -> Result<Vec<EventBus>, Error> {
    let mut buses = Vec::with_capacity(connections);
    for _ in 0..connections {
        let connector = EventBus::connector(url).clock(clock.clone());
        buses.push(connector.connect().await?);
    }
    Ok(buses)
}

/// Runs every case of the suite, several at a time: most of their time is waiting.
pub(crate) async fn conformance(factory: &dyn Factory, at_once: usize) {
    let report = conformance::run_at_once(factory, at_once).await.unwrap();
    println!("{report}");
    report.save_where_asked().unwrap();
    assert!(report.passed(), "{report}");
}

/// This program once more, for one test of it.
pub(crate) fn this_test_program(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command
}

pub(crate) fn new_topic() -> TopicName {
    TopicName::new(format!("test.t{}", Uuid::new_v4().simple())).unwrap()
}

pub(crate) fn subscription(topic: &TopicName) -> Subscription {
    Subscription::new(topic.clone(), SubscriptionName::new("reader").unwrap())
}

/// A message whose data is the number.
pub(crate) fn message(topic: &TopicName, key: Option<&str>, number: u64) -> Message {
    let event = CloudEvent::new("/test", "test.number.counted.v1").unwrap();
    let event = event
        .with_data("text/plain", number.to_string().into_bytes())
        .unwrap();
    let event = match key {
        Some(key) => event.with_key(key).unwrap(),
        None => event,
    };
    Message::new(topic.clone(), event)
}

pub(crate) fn number(delivery: &Delivery) -> u64 {
    number_of(delivery.message())
}

pub(crate) fn number_of(message: &Message) -> u64 {
    std::str::from_utf8(message.event.data().unwrap())
        .unwrap()
        .parse()
        .unwrap()
}

/// Publishes numbers under one key.
pub(crate) async fn publish(
    bus: &EventBus,
    topic: &TopicName,
    key: Option<&str>,
    numbers: impl IntoIterator<Item = u64>,
) {
    let messages = numbers
        .into_iter()
        .map(|number| message(topic, key, number))
        .collect();
    for result in bus.publish_batch(messages).await {
        result.unwrap();
    }
}

/// The next delivery, which must come.
pub(crate) async fn receive(subscriber: &mut Subscriber) -> Delivery {
    let next = timeout(PATIENCE, subscriber.next())
        .await
        .expect("no delivery came");
    next.unwrap().expect("the subscriber ended")
}

/// The next deliveries, held.
pub(crate) async fn receive_all(subscriber: &mut Subscriber, count: usize) -> Vec<Delivery> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(receive(subscriber).await);
    }
    held
}

/// The next numbers, each acked before the next.
pub(crate) async fn take(subscriber: &mut Subscriber, count: usize) -> Vec<u64> {
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        let delivery = receive(subscriber).await;
        numbers.push(number(&delivery));
        delivery.ack().await.unwrap();
    }
    numbers
}

/// Everything that comes until nothing comes any more for a while, acked.
pub(crate) async fn take_rest(subscriber: &mut Subscriber, quiet: Duration) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    while let Ok(next) = timeout(quiet, subscriber.next()).await {
        let delivery = next.unwrap().expect("the subscriber ended");
        numbers.insert(number(&delivery));
        delivery.ack().await.unwrap();
    }
    numbers
}

/// Tries until it is so.
pub(crate) async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < deadline, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
