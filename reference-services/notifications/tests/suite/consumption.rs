//! Events become e-mails: once, on every bus and database.

use commerce_contracts::commerce::{OrderId, OrganizationId, Outcome};
use commerce_event_bus::{SubscriptionName, TopicName};
use commerce_host::testing::{Scratch, server};

use crate::shop::{Shop, announced, cancelled, message, pending, received, until};

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

async fn each_outcome_is_told_once(scratch: Scratch, bus: &str) {
    let shop = Shop::start(scratch, bus, None).await;
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

    let announced = announced(&shop.bus, 4).await;
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
    let mut unreachable = pending(organization, order, 1);
    unreachable.customer.email = "nowhere".to_owned();
    shop.publish(message(&unreachable)).await;
    shop.publish(message(&received(organization, order))).await;
    shop.settled(2).await;
    assert_eq!(shop.mails().len(), 1);
    let (orders, name) = (
        TopicName::new("orders").unwrap(),
        SubscriptionName::new("notifications").unwrap(),
    );
    let letters = shop.bus.dead_letters(&orders, &name, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].reason().contains("mail address"),
        "{}",
        letters[0].reason()
    );
}

#[tokio::test]
async fn events_that_are_no_news_are_passed_over() {
    let shop = Shop::embedded().await;
    let event = commerce_contracts::CloudEvent::new("/orders", "orders.order.created.v1").unwrap();
    shop.publish(commerce_event_bus::Message::new(
        TopicName::new("orders").unwrap(),
        event,
    ))
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
