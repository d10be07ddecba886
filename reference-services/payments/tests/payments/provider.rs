//! What the provider's refusals do.

use anyhow::{Result, ensure};
use commerce_contracts::commerce::{OrderId, PaymentRejected};
use commerce_event_bus::{SubscriptionName, TopicName};
use commerce_host::testing::Scratch;
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

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

    let (topic, name) = (
        TopicName::new("orders")?,
        SubscriptionName::new("payments")?,
    );
    let letter = eventually(async || {
        let mut letters = world.bus().dead_letters(&topic, &name, 10).await?;
        ensure!(letters.len() == 1, "{} dead letters", letters.len());
        Ok(letters.remove(0))
    })
    .await?;
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
async fn the_same_attempt_for_another_amount_is_refused() -> Result<()> {
    let provider = provider_that_answers(problem(402, "no")).await;
    let scratch = Scratch::sqlite()?;
    let mut world = World::with_provider(&scratch, &provider.uri()).await?;
    let order_id = OrderId::new();
    world.request_attempt(order_id, 1, 100).await?;
    world.outcomes(1).await?;

    world.request_attempt(order_id, 1, 200).await?;

    let (topic, name) = (
        TopicName::new("orders")?,
        SubscriptionName::new("payments")?,
    );
    eventually(async || {
        let letters = world.bus().dead_letters(&topic, &name, 10).await?;
        ensure!(
            letters.len() == 1 && letters[0].reason().contains("another amount"),
            "{letters:?}"
        );
        Ok(())
    })
    .await?;
    let payment = world.payment(order_id, "REJECTED").await?;
    ensure!(payment["amount"]["amount_minor"] == 100);
    ensure!(world.outcomes_waiting().await? == 0);
    world.stop().await
}
