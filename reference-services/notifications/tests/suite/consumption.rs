//! Events become e-mails: once, on every bus and database.

use std::time::{Duration, Instant};

use commerce_consumer_framework::outbox;
use commerce_contracts::commerce::{OrderId, OrganizationId, Outcome};
use commerce_contracts::{CloudEvent, Event as _};
use commerce_event_bus::{Message, SubscriptionName, TopicName};
use commerce_host::Drained;
use commerce_host::testing::{Scratch, server};

use crate::shop::{PATIENCE, Shop, cancelled, hear, message, pending, received, until, witness};

#[tokio::test]
async fn once_on_memory_and_sqlite() {
    each_outcome_is_told_once(Scratch::sqlite().unwrap(), "memory:").await;
}

#[tokio::test]
async fn once_on_an_sqlite_bus() {
    let scratch = Scratch::sqlite().unwrap();
    let bus = scratch.bus();
    each_outcome_is_told_once(scratch, &bus).await;
}

#[tokio::test]
async fn once_on_memory_and_postgres() {
    let Some(scratch) = Scratch::postgres().await.unwrap() else {
        return;
    };
    each_outcome_is_told_once(scratch, "memory:").await;
}

#[tokio::test]
async fn once_on_kafka() {
    let Some(bus) = server("KAFKA_URL") else {
        return;
    };
    each_outcome_is_told_once(Scratch::sqlite().unwrap(), &bus).await;
}

#[tokio::test]
async fn once_on_rabbitmq() {
    let Some(bus) = server("AMQP_URL") else {
        return;
    };
    each_outcome_is_told_once(Scratch::sqlite().unwrap(), &bus).await;
}

/// Notifications by themselves, as a team may run them: nobody subscribes to what they announce.
#[tokio::test]
async fn an_announcement_that_nobody_hears_does_not_stay_in_the_outbox_on_rabbitmq() {
    let Some(bus) = server("AMQP_URL") else {
        return;
    };
    let shop = Shop::start(Scratch::sqlite().unwrap(), &bus, None).await;
    for _ in 0..3 {
        let event = received(OrganizationId::new(), OrderId::new());
        shop.publish(message(&event)).await;
    }
    shop.settled(3).await;
    assert_eq!(shop.mails().len(), 3);
    let database = shop.running.resources().database("notifications").await;
    let database = database.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while outbox::backlog(&database).await.unwrap().waiting > 0 {
        assert!(Instant::now() < deadline, "the outbox is never empty");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shop.running.shutdown().await, Drained::Clean);
    shop.scratch.remove().await.unwrap();
}

async fn each_outcome_is_told_once(scratch: Scratch, bus: &str) {
    let shop = Shop::start(scratch, bus, None).await;
    // Before anything is announced: what nobody hears, RabbitMQ does not keep.
    let witness = witness(&shop.bus).await;
    let (organization, order) = (OrganizationId::new(), OrderId::new());
    let first = message(&pending(organization, order, 1));
    for message in [
        first.clone(),
        first.clone(),
        message(&pending(organization, order, 2)),
        message(&received(organization, order)),
        message(&cancelled(organization, OrderId::new())),
        // Not the same event, but the same outcome of the same attempt.
        message(&received(organization, order)),
        first.clone(),
    ] {
        shop.publish(message).await;
    }
    shop.settled(7).await;

    let announced = hear(witness, 4).await;
    let of_order: Vec<_> = announced
        .iter()
        .filter(|(event, _)| event.order_id == order)
        .map(|(event, _)| (event.outcome, event.attempt))
        .collect();
    assert_eq!(
        of_order,
        [
            (Outcome::PaymentPending, 1),
            (Outcome::PaymentPending, 2),
            (Outcome::Received, 1)
        ]
    );
    assert_eq!(
        announced
            .iter()
            .filter(|(event, _)| event.outcome == Outcome::Cancelled)
            .count(),
        1
    );
    let causes: Vec<_> = announced
        .iter()
        .filter_map(|(_, cause)| cause.as_deref())
        .collect();
    assert!(causes.contains(&first.event().id()), "{causes:?}");

    let mails = shop.mails();
    assert_eq!(mails.len(), 4, "{mails:#?}");
    assert_eq!(
        mails
            .iter()
            .filter(|mail| mail.contains(&order.to_string()))
            .count(),
        3
    );
    shop.running.shutdown().await;
    shop.scratch.remove().await.unwrap();
}

#[tokio::test]
async fn an_address_that_cannot_be_is_put_aside_and_delays_nobody() {
    let shop = Shop::embedded().await;
    let (organization, order) = (OrganizationId::new(), OrderId::new());
    // From a producer that does not keep to the contract.
    let mut unreachable: serde_json::Value =
        serde_json::from_slice(&pending(organization, order, 1).event().unwrap().to_json())
            .unwrap();
    unreachable["data"]["customer"]["email"] = "ana..b@nowhere.example".into();
    let unreachable = CloudEvent::from_json(unreachable.to_string().as_bytes()).unwrap();
    let orders = TopicName::new("orders").unwrap();
    shop.publish(Message::new(orders.clone(), unreachable))
        .await;
    shop.publish(message(&received(organization, order))).await;
    shop.settled(2).await;
    assert_eq!(shop.mails().len(), 1);
    let name = SubscriptionName::new("notifications").unwrap();
    let letters = shop.bus.dead_letters(&orders, &name, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].reason().contains("/customer/email"),
        "{}",
        letters[0].reason()
    );
}

#[tokio::test]
async fn events_that_are_no_news_are_passed_over() {
    let shop = Shop::embedded().await;
    let event = CloudEvent::new("/orders", "orders.order.created.v1").unwrap();
    shop.publish(Message::new(TopicName::new("orders").unwrap(), event))
        .await;
    shop.settled(1).await;
    assert!(shop.mails().is_empty());
}

#[tokio::test]
async fn the_metrics_tell_what_was_consumed() {
    let shop = Shop::embedded().await;
    shop.publish(message(&received(OrganizationId::new(), OrderId::new())))
        .await;
    shop.settled(1).await;
    let url = format!("{}/metrics", shop.running.url());
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    let handled = metrics.lines().find(|line| {
        line.starts_with("commerce_consumer_deliveries_total")
            && line.contains("outcome=\"handled\"")
    });
    assert!(
        handled.is_some_and(|line| line.contains("notifications") && line.ends_with(" 1")),
        "{metrics}"
    );
    let mut seen = false;
    until("the backlog is measured", || {
        seen = seen || metrics.contains("commerce_bus_backlog");
        seen || shop.running.consumers().count() == 1
    })
    .await;
}
