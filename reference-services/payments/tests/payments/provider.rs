//! What the provider's refusals do.

use std::time::Duration;

use anyhow::{Result, ensure};
use commerce_consumer_framework::storage::Database;
use commerce_contracts::commerce::{OrderId, PaymentConfirmed, PaymentRejected};
use commerce_host::testing::Scratch;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::world::{World, eventually, provider_entry};

async fn provider_that_answers(charges: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let entry = ResponseTemplate::new(200).set_body_json(provider_entry());
    Mock::given(matchers::path("/"))
        .respond_with(entry)
        .mount(&server)
        .await;
    Mock::given(matchers::method("POST"))
        .and(matchers::path("/charges"))
        .respond_with(charges)
        .mount(&server)
        .await;
    server
}

fn problem(status: u16, detail: &str) -> ResponseTemplate {
    let body = json!({"title": "Declined", "detail": detail, "status": status});
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/problem+json")
}

#[tokio::test]
async fn a_declined_charge_is_a_rejected_payment() -> Result<()> {
    let provider = provider_that_answers(problem(402, "the card has expired")).await;
    let scratch = Scratch::sqlite()?;
    let mut world = World::with_provider(&scratch, &provider.uri()).await?;

    let order_id = world.request(4_990).await?;

    let rejected: PaymentRejected = world.outcomes(1).await?[0].decode()?;
    ensure!(
        rejected.order_id == order_id && rejected.reason == "the card has expired",
        "{rejected:?}"
    );
    let payment = world.payment(order_id, "REJECTED").await?;
    ensure!(payment["reason"] == "the card has expired", "{payment}");
    world.stop().await
}

#[tokio::test]
async fn the_charge_is_asked_for_as_the_provider_wants_it() -> Result<()> {
    let provider = provider_that_answers(problem(402, "no")).await;
    let scratch = Scratch::sqlite()?;
    let mut world = World::with_provider(&scratch, &provider.uri()).await?;

    let order_id = world.request(4_990).await?;
    world.outcomes(1).await?;

    let payment_id = world.payment(order_id, "REJECTED").await?["payment_id"].clone();
    let requests = provider.received_requests().await.unwrap_or_default();
    let charge = requests
        .iter()
        .find(|request| request.method.as_str() == "POST")
        .expect("it was asked");
    let body: serde_json::Value = charge.body_json()?;
    let expected = json!({
        "reference": payment_id, "amount_minor": 4_990, "currency": "BRL", "method": "credit_card", "installments": 3,
    });
    ensure!(body == expected, "{body}");
    ensure!(
        charge.headers["idempotency-key"]
            == format!("\"{}\"", payment_id.as_str().unwrap_or_default()).as_str()
    );
    ensure!(charge.headers["authorization"] == "Bearer test-api-key");
    ensure!(charge.headers["x-transaction-id"] == format!("order-{order_id}").as_str());
    world.stop().await
}

#[tokio::test]
async fn a_request_that_the_provider_does_not_understand_goes_to_the_dead_letters() -> Result<()> {
    let provider = provider_that_answers(problem(400, "what is that?")).await;
    let scratch = Scratch::sqlite()?;
    let world = World::with_provider(&scratch, &provider.uri()).await?;

    let order_id = world.request(1).await?;

    let letter = world.dead_letter().await?;
    ensure!(
        letter.reason().contains("what is that?"),
        "{}",
        letter.reason()
    );
    ensure!(
        world.payments_of(order_id).await?.is_empty(),
        "nothing was stored"
    );
    world.stop().await
}

#[tokio::test]
async fn what_the_provider_finds_unacceptable_is_not_the_customers_decline() -> Result<()> {
    let provider = provider_that_answers(problem(422, "the merchant is not set up")).await;
    let scratch = Scratch::sqlite()?;
    let world = World::with_provider(&scratch, &provider.uri()).await?;

    let order_id = world.request(1).await?;

    let letter = world.dead_letter().await?;
    ensure!(letter.reason().contains("not set up"), "{letter:?}");
    ensure!(world.payments_of(order_id).await?.is_empty());
    ensure!(world.outcomes_waiting().await? == 0);
    world.stop().await
}

/// A charge of this payment as an older version might have asked for it.
fn charge(payment_id: Uuid, amount_minor: i64) -> Value {
    json!({
        "reference": payment_id, "amount_minor": amount_minor, "currency": "BRL", "method": "pix", "installments": 1,
    })
}

#[tokio::test]
async fn a_charge_that_was_asked_for_in_other_words_is_the_payments_charge() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let mut world = World::start(&scratch, "memory:", |_| {}).await?;
    let order_id = OrderId::new();
    let payment_id = Uuid::new_v5(&order_id.as_uuid(), b"1");
    let before = charge(payment_id, 4_990);
    world.charge(&payment_id.to_string(), &before).await?;

    world.request_attempt(order_id, 1, 4_990).await?;

    let _: PaymentConfirmed = world.outcomes(1).await?[0].decode()?;
    world.payment(order_id, "CONFIRMED").await?;
    let ledger = world.ledger().await?;
    ensure!(ledger.len() == 1 && ledger[0]["charges"] == 1, "{ledger:?}");
    world.stop().await
}

#[tokio::test]
async fn a_charge_of_another_amount_is_for_a_person_to_look_at() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let world = World::start(&scratch, "memory:", |_| {}).await?;
    let order_id = OrderId::new();
    let payment_id = Uuid::new_v5(&order_id.as_uuid(), b"1");
    let before = charge(payment_id, 100);
    world.charge(&payment_id.to_string(), &before).await?;

    world.request_attempt(order_id, 1, 4_990).await?;

    let letter = world.dead_letter().await?;
    ensure!(letter.reason().contains("Idempotency-Key"), "{letter:?}");
    ensure!(world.payments_of(order_id).await?.is_empty());
    ensure!(world.outcomes_waiting().await? == 0);
    world.stop().await
}

/// A provider that takes every charge, confirms them when asked, and fails for one amount.
async fn provider_that_cannot_tell_about(amount_minor: i64) -> MockServer {
    let server = MockServer::start().await;
    let entry = ResponseTemplate::new(200).set_body_json(provider_entry());
    Mock::given(matchers::path("/"))
        .respond_with(entry)
        .mount(&server)
        .await;
    // The id of a charge is reference and amount: the provider needs no memory.
    let charge = |reference: &str, amount_minor: &str, status: &str| {
        json!({
            "charge_id": format!("{reference}.{amount_minor}"), "reference": reference, "currency": "BRL",
            "amount_minor": amount_minor.parse::<i64>().unwrap_or_default(), "status": status,
        })
    };
    Mock::given(matchers::method("POST"))
        .respond_with(move |request: &Request| {
            let asked: Value = request.body_json().unwrap_or_default();
            let amount = asked["amount_minor"].to_string();
            let reference = asked["reference"].as_str().unwrap_or_default();
            ResponseTemplate::new(201).set_body_json(charge(reference, &amount, "processing"))
        })
        .mount(&server)
        .await;
    Mock::given(matchers::method("GET"))
        .and(matchers::path_regex("^/charges/"))
        .respond_with(move |request: &Request| {
            let id = request.url.path().trim_start_matches("/charges/");
            let (reference, amount) = id.split_once('.').unwrap_or_default();
            if amount == amount_minor.to_string() {
                return ResponseTemplate::new(500);
            }
            ResponseTemplate::new(200).set_body_json(charge(reference, amount, "confirmed"))
        })
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_payment_that_cannot_be_reconciled_keeps_no_other_from_it() -> Result<()> {
    let provider = provider_that_cannot_tell_about(13).await;
    let scratch = Scratch::sqlite()?;
    let mut world = World::with_provider_and(&scratch, &provider.uri(), |config| {
        config.reconcile_after = Duration::from_millis(1_500);
    })
    .await?;
    // The oldest: one that the provider fails to tell about, and one whose row makes no sense.
    let odd = [world.request(13).await?, world.request(14).await?];
    for order_id in odd {
        world.payment(order_id, "PENDING").await?;
    }
    let database = Database::connect_in(&scratch.store(), "payments").await?;
    let broken = database
        .query("UPDATE payments SET attempt = 5000000000 WHERE order_id = $1")
        .bind(odd[1].as_uuid())
        .execute()
        .await?;
    ensure!(broken == 1);
    let others = [
        world.request(100).await?,
        world.request(200).await?,
        world.request(300).await?,
    ];

    world.outcomes(others.len()).await?;

    for order_id in others {
        world.payment(order_id, "CONFIRMED").await?;
    }
    for order_id in odd {
        world.payment(order_id, "PENDING").await?;
    }
    eventually(async || {
        ensure!(world.reports("reconcile", "failed").await? > 0);
        Ok(())
    })
    .await?;
    database.close().await;
    world.stop().await
}

#[tokio::test]
async fn the_same_attempt_for_another_amount_is_refused() -> Result<()> {
    let provider = provider_that_answers(problem(402, "no")).await;
    let scratch = Scratch::sqlite()?;
    let mut world = World::with_provider(&scratch, &provider.uri()).await?;
    let order_id = OrderId::new();
    world.request_attempt(order_id, 1, 100).await?;
    world.outcomes(1).await?;

    world.request_attempt(order_id, 1, 200).await?;

    let letter = world.dead_letter().await?;
    ensure!(letter.reason().contains("another amount"), "{letter:?}");
    let payment = world.payment(order_id, "REJECTED").await?;
    ensure!(payment["amount"]["amount_minor"] == 100);
    ensure!(world.outcomes_waiting().await? == 0);
    world.stop().await
}
