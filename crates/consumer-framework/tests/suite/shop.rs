//! A small shop's events, and what the cases do with them again and again.

use std::time::Duration;

#[cfg(all(feature = "sqlite", feature = "postgres"))]
use commerce_consumer_framework::storage::{Database, Migration};
use commerce_event_bus::{Backlog, EventBus, Message, SubscriptionName, TopicName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

#[derive(
    Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, commerce_contracts::Event,
)]
#[event(name = "shop.item.sold", version = 1, topic = "sales", key = "item")]
pub(crate) struct Sold {
    pub(crate) item: String,
    pub(crate) number: u32,
}

#[derive(
    Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, commerce_contracts::Event,
)]
#[event(
    name = "shop.item.returned",
    version = 1,
    topic = "sales",
    key = "item"
)]
pub(crate) struct Returned {
    pub(crate) item: String,
}

#[cfg(all(feature = "sqlite", feature = "postgres"))]
#[derive(
    Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, commerce_contracts::Event,
)]
#[event(
    name = "shop.stock.lowered",
    version = 1,
    topic = "stock",
    key = "item"
)]
pub(crate) struct StockLowered {
    pub(crate) item: String,
    pub(crate) number: u32,
}

#[cfg(all(feature = "sqlite", feature = "postgres"))]
pub(crate) const STOCK: &[Migration] = &[Migration::new(
    1,
    "CREATE TABLE stock (item TEXT NOT NULL, number BIGINT NOT NULL)",
)];

pub(crate) fn sold(item: &str, number: u32) -> Sold {
    Sold {
        item: item.to_owned(),
        number,
    }
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

pub(crate) fn subscription(name: &str) -> SubscriptionName {
    SubscriptionName::new(name).unwrap()
}

pub(crate) async fn publish(bus: &EventBus, item: &str, number: u32) -> Message {
    let message = Message::of(&sold(item, number)).unwrap();
    bus.publish(message.clone()).await.unwrap();
    message
}

#[cfg(all(feature = "sqlite", feature = "postgres"))]
/// What a consumer wrote, in order.
pub(crate) async fn stock(database: &Database) -> Vec<(String, i64)> {
    database
        .query("SELECT item, number FROM stock ORDER BY item, number")
        .fetch_all()
        .await
        .unwrap()
}

pub(crate) async fn backlog(bus: &EventBus, topic_name: &str, name: &str) -> Backlog {
    bus.backlog(&topic(topic_name), &subscription(name))
        .await
        .unwrap()
}

/// Waits until the subscription has nothing left to do.
pub(crate) async fn drained(bus: &EventBus, topic_name: &str, name: &str) {
    until("the subscription is drained", async || {
        backlog(bus, topic_name, name).await.is_drained()
    })
    .await;
}

/// Polls a condition; fails after a generous time, on whatever clock the case runs.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition().await {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
