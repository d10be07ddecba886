//! For tests of consumers on [`EventBus::memory`].

use std::time::Duration;

use commerce_event_bus::{EventBus, SubscriptionName, TopicName};

/// Ready once the subscription has nothing waiting and nothing under way: give it to
/// [`Consumer::run_until`](crate::Consumer::run_until), and the consumer handles what there is and ends.
///
/// A subscription that does not exist yet is waited for.
///
/// # Panics
/// When a name is not valid.
pub async fn drained(bus: &EventBus, topic: &str, subscription: &str) {
    let topic = TopicName::new(topic).unwrap_or_else(|error| panic!("{error}"));
    let name = SubscriptionName::new(subscription).unwrap_or_else(|error| panic!("{error}"));
    while !bus
        .backlog(&topic, &name)
        .await
        .is_ok_and(|backlog| backlog.is_drained())
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
