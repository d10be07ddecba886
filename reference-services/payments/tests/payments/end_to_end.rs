//! From the request to the announced outcome, whatever goes wrong on the way.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use commerce_consumer_framework::{Call, Failure};
use commerce_contracts::commerce::{OrderId, PaymentConfirmed, PaymentRejected};
use commerce_host::Handle;
use commerce_host::testing::{Scratch, server};
use serde_json::json;
use tower::ServiceExt as _;

use crate::world::{World, eventually};

/// Every order is settled once, to the cent, and charged once.
async fn every_payment_settles_once(world: &mut World, count: usize) -> Result<()> {
    let mut orders = HashMap::new();
    for number in 0..count {
        let amount = 1_000 + i64::try_from(number)?;
        orders.insert(world.request(amount).await?, amount);
    }
    let mut settled = HashSet::new();
    let (mut confirmed, mut rejected) = (0, 0);
    for event in world.outcomes(count).await? {
        let (order_id, amount): (OrderId, _) =
            if event.event_type() == "payments.payment.confirmed.v1" {
                confirmed += 1;
                let event: PaymentConfirmed = event.decode()?;
                (event.order_id, event.amount)
            } else {
                rejected += 1;
                let event: PaymentRejected = event.decode()?;
                ensure!(!event.reason.is_empty() && !event.provider_reference.is_empty());
                (event.order_id, event.amount)
            };
        ensure!(
            orders[&order_id] == amount.amount_minor,
            "{amount} for {order_id}"
        );
        ensure!(settled.insert(order_id), "{order_id} was settled twice");
        ensure!(
            event.transaction_id() == Some(format!("order-{order_id}").as_str()),
            "another business transaction"
        );
        ensure!(
            event.causation_id().is_some() && event.key() == Some(order_id.to_string().as_str())
        );
    }
    ensure!(
        confirmed > 0 && rejected > 0,
        "{confirmed} confirmed, {rejected} rejected: the sample shows both"
    );

    let ledger = world.ledger().await?;
    ensure!(
        ledger.len() == count,
        "{} references were charged",
        ledger.len()
    );
    ensure!(
        ledger.iter().all(|entry| entry["charges"] == 1),
        "a double charge: {ledger:?}"
    );
    let charged: i64 = ledger
        .iter()
        .filter_map(|entry| entry["confirmed_minor"].as_i64())
        .sum();
    let mut paid = 0;
    for order_id in orders.keys() {
        let payments = world.payments_of(*order_id).await?;
        ensure!(payments.len() == 1);
        if payments[0]["status"] == "CONFIRMED" {
            paid += payments[0]["amount"]["amount_minor"]
                .as_i64()
                .unwrap_or_default();
        }
    }
    ensure!(
        charged == paid,
        "the provider has {charged}, payments say {paid}"
    );
    Ok(())
}

#[tokio::test]
async fn duplicated_and_reordered_webhooks_are_absorbed() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let mut world = World::start(&scratch, "memory:", |_| {}).await?;
    world
        .faults(&json!({"duplicate_rate": 1.0, "reorder_rate": 0.5, "reject_rate": 0.4}))
        .await?;

    every_payment_settles_once(&mut world, 20).await?;

    // Each of two webhooks came twice: one of the four settled the payment, three had nothing new to say. The repetition of
    // the outcome is one of them, in any order; the others come before the outcome or after it.
    eventually(async || {
        let absorbed = world.reports("webhook", "absorbed").await?;
        let noted = world.reports("webhook", "noted").await?;
        ensure!(
            absorbed >= 20 && absorbed + noted >= 60,
            "{absorbed} absorbed and {noted} noted of 60"
        );
        Ok(())
    })
    .await?;
    ensure!(world.reports("webhook", "contradicted").await? == 0);
    ensure!(
        world.outcomes_waiting().await? == 0,
        "an outcome was announced again"
    );
    world.stop().await
}

#[tokio::test]
async fn errors_before_and_after_the_charge_do_not_charge_twice() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let mut world = World::start(&scratch, "memory:", |_| {}).await?;
    world
        .faults(&json!({"error_rate": 0.5, "reject_rate": 0.4, "latency_ms": 5}))
        .await?;
    every_payment_settles_once(&mut world, 20).await?;
    world.stop().await
}

#[tokio::test]
async fn an_outage_delays_payments_and_loses_none() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let mut world = World::start(&scratch, "memory:", |_| {}).await?;
    world
        .faults(&json!({"outage_ms": 1_500, "reject_rate": 0.4}))
        .await?;
    every_payment_settles_once(&mut world, 20).await?;
    world.stop().await
}

#[tokio::test]
async fn a_handler_that_dies_is_run_again_and_charges_once() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let mut world = World::start_around(&scratch, "memory:", |_| {}, dies_once).await?;
    world
        .faults(&json!({"reject_rate": 0.4, "latency_ms": 4}))
        .await?;
    every_payment_settles_once(&mut world, 20).await?;
    world.stop().await
}

/// Every event's first attempt dies: somewhere in the middle, when the provider may or may not have been asked, or after
/// its end, when its effects are there and the bus does not know.
fn dies_once(_consumer: &str, handlers: Handle) -> Handle {
    let died = Arc::new(Mutex::new(HashSet::<String>::new()));
    Handle::new(tower::service_fn(move |call: Call| {
        let (died, handlers) = (died.clone(), handlers.clone());
        async move {
            let id = call.event().id().to_owned();
            if died.lock().is_ok_and(|mut died| died.insert(id)) {
                let attempt =
                    tokio::time::timeout(Duration::from_millis(8), handlers.oneshot(call));
                assert!(attempt.await.is_ok(), "died in the middle");
                return Err(Failure::retry("died at the end"));
            }
            handlers.oneshot(call).await
        }
    }))
}

#[tokio::test]
async fn without_webhooks_the_provider_is_asked() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let mut world = World::start(&scratch, "memory:", |config| {
        // Signs with another secret than the provider: every webhook is refused.
        config.webhook_secret = "whsec_YW5vdGhlci13ZWJob29rLXNlY3JldC0wMDE=".into();
        config.reconcile_after = Duration::from_millis(200);
    })
    .await?;
    world.faults(&json!({"reject_rate": 0.4})).await?;
    every_payment_settles_once(&mut world, 20).await?;
    // Counted after the outcome is announced.
    eventually(async || {
        let settled = world.reports("reconcile", "settled").await?;
        ensure!(settled == 20, "{settled} of 20 were settled");
        Ok(())
    })
    .await?;
    ensure!(world.reports("webhook", "settled").await? == 0);
    world.stop().await
}

#[tokio::test]
async fn webhooks_signed_with_the_previous_secret_are_taken_while_it_is_rotated() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let mut world = World::start(&scratch, "memory:", |config| {
        let previous = std::mem::replace(
            &mut config.webhook_secret,
            "whsec_YW5vdGhlci13ZWJob29rLXNlY3JldC0wMDE=".into(),
        );
        config.previous_webhook_secret = Some(previous);
    })
    .await?;
    world.request(100).await?;
    world.outcomes(1).await?;
    ensure!(world.reports("webhook", "settled").await? == 1);
    world.stop().await
}

#[tokio::test]
async fn the_same_on_rabbitmq_and_postgresql() -> Result<()> {
    let Some(bus) = server("AMQP_URL") else {
        return Ok(());
    };
    on_real_servers(&bus).await
}

#[tokio::test]
async fn the_same_on_kafka_and_postgresql() -> Result<()> {
    let Some(bus) = server("KAFKA_URL") else {
        return Ok(());
    };
    on_real_servers(&bus).await
}

#[tokio::test]
async fn the_same_on_an_sqlite_bus() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let mut world = World::start(&scratch, &scratch.bus(), |_| {}).await?;
    world.faults(&json!({"duplicate_rate": 0.3, "reorder_rate": 0.3, "error_rate": 0.2, "reject_rate": 0.4})).await?;
    every_payment_settles_once(&mut world, 20).await?;
    world.stop().await
}

async fn on_real_servers(bus: &str) -> Result<()> {
    let Some(scratch) = Scratch::postgres().await? else {
        return Ok(());
    };
    let mut world = World::start(&scratch, bus, |_| {}).await?;
    world.faults(&json!({"duplicate_rate": 0.3, "reorder_rate": 0.3, "error_rate": 0.2, "reject_rate": 0.4})).await?;
    every_payment_settles_once(&mut world, 20).await?;
    world.stop().await?;
    scratch.remove().await
}
