//! What payments say about orders: the same story on every bus.

use chrono::Utc;
use commerce_contracts::commerce::{
    Currency, Money, OrderCreated, OrderId, OrderPaymentPending, OrderReceived, PaymentConfirmed,
    PaymentId, PaymentRejected, PaymentRequested, PreparationRequested,
};
use commerce_event_bus::TopicName;
use commerce_host::testing::{Scratch, server};
use serde_json::{Value, json};

use crate::shop::{Shop, TOTAL, until};

fn confirmed(shop: &Shop, order: &Value, attempt: u32) -> PaymentConfirmed {
    PaymentConfirmed {
        organization_id: shop.organization.into(),
        order_id: id(order),
        payment_id: PaymentId::new(),
        attempt,
        amount: Money::new(TOTAL, Currency::BRL),
        provider_reference: "charge-1".into(),
        confirmed_at: Utc::now(),
    }
}

fn rejected(shop: &Shop, order: &Value, attempt: u32) -> PaymentRejected {
    PaymentRejected {
        organization_id: shop.organization.into(),
        order_id: id(order),
        payment_id: PaymentId::new(),
        attempt,
        amount: Money::new(TOTAL, Currency::BRL),
        reason: "insufficient funds".into(),
        provider_reference: "charge-1".into(),
        rejected_at: Utc::now(),
    }
}

fn id(order: &Value) -> OrderId {
    order["order_id"].as_str().unwrap().parse().unwrap()
}

/// An order whose payment was asked for; its events are heard.
async fn checked_out(shop: &mut Shop) -> Value {
    let order = shop.order().await;
    shop.hear_of::<OrderCreated>().await;
    assert_eq!(shop.follow(&order, "checkout").await.status(), 200);
    shop.hear_of::<PaymentRequested>().await;
    order
}

async fn story(scratch: Scratch, bus: &str) {
    let mut shop = Shop::open_on(scratch, bus).await;
    an_order_is_rejected_then_paid(&mut shop).await;
    what_cannot_be_right_is_put_aside(&mut shop).await;
    shop.close().await;
}

async fn an_order_is_rejected_then_paid(shop: &mut Shop) {
    let payments = TopicName::new("payments").unwrap();
    let order = checked_out(shop).await;

    let refusal = rejected(shop, &order, 1);
    let told = shop.tell(&refusal).await;
    let (event, pending) = shop.hear_of::<OrderPaymentPending>().await;
    assert_eq!(event.causation_id(), Some(told.id()));
    assert_eq!(
        (pending.attempt, pending.payment_id, pending.reason.as_str()),
        (1, refusal.payment_id, "insufficient funds")
    );
    assert_eq!(
        (pending.customer.email.as_str(), pending.total.amount_minor),
        ("ana@shop.example", TOTAL)
    );
    let waiting = shop.read(&order).await;
    assert_eq!(
        (&waiting["state"], &waiting["attempt"]),
        (&json!("PAYMENT_PENDING"), &json!(1))
    );

    assert_eq!(shop.follow(&waiting, "checkout").await.status(), 200);
    assert_eq!(shop.hear_of::<PaymentRequested>().await.1.attempt, 2);
    // The outcome of the first attempt comes again: the same event, and another one with the same news.
    shop.repeat(&payments, &told).await;
    shop.tell(&refusal).await;
    let confirmation = confirmed(shop, &order, 2);
    let transaction = commerce_contracts::Event::event(&confirmation)
        .unwrap()
        .with_transaction_id("purchase-7")
        .unwrap();
    for _ in 0..3 {
        shop.repeat(&payments, &transaction).await;
    }
    shop.tell(&confirmation).await;

    // Events of one order come in order, so these come next exactly if all others were ignored.
    let (event, received) = shop.hear_of::<OrderReceived>().await;
    assert_eq!(
        (event.causation_id(), event.transaction_id()),
        (Some(transaction.id()), Some("purchase-7"))
    );
    assert_eq!(
        (received.attempt, received.payment_id),
        (2, confirmation.payment_id)
    );
    let (event, preparation) = shop.hear_of::<PreparationRequested>().await;
    assert_eq!(
        (event.causation_id(), event.transaction_id()),
        (Some(transaction.id()), Some("purchase-7"))
    );
    assert_eq!(preparation.items.len(), 2);

    let paid = shop.read(&order).await;
    assert_eq!(
        (&paid["state"], &paid["attempt"]),
        (&json!("RECEIVED"), &json!(2))
    );
    let history = shop.history(&order).await;
    let steps: Vec<&str> = history
        .iter()
        .map(|change| change["to"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            "CREATED",
            "CHECKOUT",
            "PAYMENT_PENDING",
            "CHECKOUT",
            "RECEIVED"
        ]
    );
    assert_eq!(
        (&history[2]["cause"], &history[2]["reason"]),
        (&json!(told.id()), &json!("insufficient funds"))
    );
    assert_eq!(
        (&history[4]["cause"], &history[4]["transaction_id"]),
        (&json!(transaction.id()), &json!("purchase-7"))
    );
}

async fn what_cannot_be_right_is_put_aside(shop: &mut Shop) {
    let order = checked_out(shop).await;
    let before = shop.read(&order).await;
    let good = confirmed(shop, &order, 1);
    let unknown_order = PaymentConfirmed {
        order_id: OrderId::new(),
        ..good.clone()
    };
    let another_organization = PaymentConfirmed {
        organization_id: uuid::Uuid::now_v7().into(),
        ..good.clone()
    };
    let another_amount = PaymentConfirmed {
        amount: Money::new(TOTAL - 1, Currency::BRL),
        ..good.clone()
    };
    let never_made = PaymentConfirmed {
        attempt: 2,
        ..good.clone()
    };
    for impossible in [
        &unknown_order,
        &another_organization,
        &another_amount,
        &never_made,
    ] {
        shop.tell(impossible).await;
    }
    let broken = commerce_contracts::Event::event(&good).unwrap();
    let broken = broken
        .with_data("application/json", r#"{"order_id": 7}"#)
        .unwrap();
    shop.repeat(&TopicName::new("payments").unwrap(), &broken)
        .await;
    let here = &*shop;
    until("five dead letters", || async {
        here.dead_letters().await == 5
    })
    .await;
    assert_eq!(shop.read(&order).await, before);

    // The order is none the worse for it.
    shop.tell(&good).await;
    shop.hear_of::<OrderReceived>().await;
    shop.hear_of::<PreparationRequested>().await;
    // Paid and not paid: somebody has to look at it.
    shop.tell(&rejected(shop, &order, 1)).await;
    let here = &*shop;
    until("six dead letters", || async {
        here.dead_letters().await == 6
    })
    .await;
    assert_eq!(shop.read(&order).await["state"], "RECEIVED");
}

#[tokio::test]
async fn outcomes_on_memory_and_sqlite() {
    story(Scratch::sqlite().unwrap(), "memory:").await;
}

#[tokio::test]
async fn outcomes_on_sqlite_alone() {
    let scratch = Scratch::sqlite().unwrap();
    let bus = scratch.bus();
    story(scratch, &bus).await;
}

#[tokio::test]
async fn outcomes_on_kafka_and_postgresql() {
    let Some(bus) = server("KAFKA_URL") else {
        return;
    };
    let Some(scratch) = Scratch::postgres().await.unwrap() else {
        return;
    };
    story(scratch, &bus).await;
}

#[tokio::test]
async fn outcomes_on_rabbitmq_and_postgresql() {
    let Some(bus) = server("AMQP_URL") else {
        return;
    };
    let Some(scratch) = Scratch::postgres().await.unwrap() else {
        return;
    };
    story(scratch, &bus).await;
}
