//! Webhooks: what is believed, and that nothing else has an effect.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use commerce_contracts::commerce::OrderId;
use commerce_host::testing::Scratch;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::world::{WEBHOOK_SECRET, World, problem, provider_entry};

/// Signs as the specification says, independently of the code under test.
fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> String {
    let key = STANDARD
        .decode(secret.trim_start_matches("whsec_"))
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

struct Webhook {
    id: String,
    timestamp: i64,
    body: String,
    signature: Option<String>,
}

impl Webhook {
    fn new(body: &impl ToString) -> Self {
        let id = format!("msg_{}", Uuid::now_v7().simple());
        Self {
            id,
            timestamp: Utc::now().timestamp(),
            body: body.to_string(),
            signature: None,
        }
    }

    async fn send(&self, world: &World) -> Result<reqwest::Response> {
        let signature = self.signature.clone();
        let signature =
            signature.unwrap_or_else(|| sign(WEBHOOK_SECRET, &self.id, self.timestamp, &self.body));
        let request = world.http.post(world.url("/webhooks/payment-provider"));
        let request = request
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", self.timestamp);
        let request = request
            .header("webhook-signature", signature)
            .header("content-type", "application/json");
        Ok(request.body(self.body.clone()).send().await?)
    }
}

/// A payment that stays pending: the provider of these tests settles nothing by itself.
async fn pending(scratch: &Scratch) -> Result<(World, MockServer, OrderId, Value)> {
    let provider = MockServer::start().await;
    let entry = ResponseTemplate::new(200).set_body_json(provider_entry());
    Mock::given(matchers::path("/"))
        .respond_with(entry)
        .mount(&provider)
        .await;
    Mock::given(matchers::path("/charges"))
        .respond_with(|request: &Request| {
            let mut charge: Value = request.body_json().unwrap();
            charge["charge_id"] = json!("ch_1");
            charge["status"] = json!("processing");
            charge["a_field_of_tomorrow"] = json!(true);
            ResponseTemplate::new(201).set_body_json(charge)
        })
        .mount(&provider)
        .await;
    let world = World::with_provider(scratch, &provider.uri()).await?;
    let order_id = world.request(4_990).await?;
    let payment = world.payment(order_id, "PENDING").await?;
    Ok((world, provider, order_id, payment))
}

fn about(payment: &Value, status: &str) -> Value {
    json!({
        "type": format!("charge.{status}"),
        "timestamp": Utc::now(),
        "data": {
            "charge_id": payment["provider_reference"],
            "reference": payment["payment_id"],
            "amount_minor": payment["amount"]["amount_minor"],
            "currency": payment["amount"]["currency"],
            "status": status,
            "reason": if status == "rejected" { json!("no funds") } else { Value::Null },
        },
    })
}

#[tokio::test]
async fn forged_and_stale_webhooks_have_no_effect() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let (world, _provider, order_id, payment) = pending(&scratch).await?;
    let confirmed = about(&payment, "confirmed");

    let mut forged = Webhook::new(&confirmed);
    forged.signature = Some(sign(
        "whsec_Zm9yZ2VkLWZvcmdlZC1mb3JnZWQtZm9yZ2Vk",
        &forged.id,
        forged.timestamp,
        &forged.body,
    ));
    let refused = problem(forged.send(&world).await?, 401).await?;
    ensure!(
        refused["detail"] == "no signature is from a secret in force",
        "{refused}"
    );

    let mut altered = Webhook::new(&about(&payment, "rejected"));
    altered.signature = Some(sign(
        WEBHOOK_SECRET,
        &altered.id,
        altered.timestamp,
        &confirmed.to_string(),
    ));
    problem(altered.send(&world).await?, 401).await?;

    for age in [301, 86_400, -301 - 60] {
        let mut stale = Webhook::new(&confirmed);
        stale.timestamp -= age;
        problem(stale.send(&world).await?, 401).await?;
    }
    let unsigned = world
        .http
        .post(world.url("/webhooks/payment-provider"))
        .body(confirmed.to_string())
        .send()
        .await?;
    problem(unsigned, 400).await?;

    ensure!(world.payment(order_id, "PENDING").await?["settled_at"].is_null());
    ensure!(world.outcomes_waiting().await? == 0);
    world.stop().await
}

#[tokio::test]
async fn signed_nonsense_has_no_effect() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let (world, _provider, order_id, payment) = pending(&scratch).await?;
    let with = |pointer: &str, value: Value| {
        let mut webhook = about(&payment, "confirmed");
        *webhook.pointer_mut(pointer).expect("it has this member") = value;
        webhook
    };
    for (body, status) in [
        ("{".to_owned(), 400),
        ("[]".to_owned(), 422),
        (json!({"type": "charge.confirmed"}).to_string(), 422),
        (with("/data/amount_minor", json!("4990")).to_string(), 422),
        (with("/data", json!({})).to_string(), 422),
        (
            with("/data/reference", json!(Uuid::now_v7())).to_string(),
            404,
        ),
        (with("/data/reference", json!("order 7")).to_string(), 404),
        (with("/data/amount_minor", json!(4_989)).to_string(), 409),
        (with("/data/currency", json!("USD")).to_string(), 409),
        (with("/data/charge_id", json!("ch_2")).to_string(), 409),
    ] {
        let answer = Webhook::new(&body).send(&world).await?;
        problem(answer, status)
            .await
            .map_err(|error| error.context(body))?;
    }
    let large = Webhook::new(&format!("\"{}\"", "x".repeat(8 * 1024 * 1024)));
    problem(large.send(&world).await?, 413).await?;

    ensure!(world.payment(order_id, "PENDING").await?["settled_at"].is_null());
    ensure!(world.outcomes_waiting().await? == 0);
    world.stop().await
}

#[tokio::test]
async fn the_outcome_is_announced_once_and_stands() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let (mut world, _provider, order_id, payment) = pending(&scratch).await?;
    let rejected = Webhook::new(&about(&payment, "rejected"));

    for webhook in [
        &Webhook::new(&about(&payment, "processing")),
        &rejected,
        &rejected,
        &Webhook::new(&about(&payment, "rejected")),
        &Webhook::new(&about(&payment, "processing")),
        &Webhook::new(&about(&payment, "confirmed")),
        &Webhook::new(&about(&payment, "something_new")),
        &Webhook::new(&json!({"type": "account.updated", "data": 7})),
    ] {
        ensure!(
            webhook.send(&world).await?.status() == 204,
            "{}",
            webhook.body
        );
    }

    let events = world.outcomes(1).await?;
    ensure!(events[0].event_type() == "payments.payment.rejected.v1");
    ensure!(
        events[0].causation_id() == Some(rejected.id.as_str()),
        "the webhook caused it"
    );
    let stored = world.payment(order_id, "REJECTED").await?;
    ensure!(
        stored["reason"] == "no funds" && stored["settled_at"].is_string(),
        "{stored}"
    );
    ensure!(world.outcomes_waiting().await? == 0);
    ensure!(world.reports("webhook", "contradicted").await? == 1);
    world.stop().await
}

#[tokio::test]
async fn the_same_outcome_twenty_times_at_once_is_announced_once() -> Result<()> {
    let scratch = Scratch::sqlite()?;
    let (mut world, _provider, _, payment) = pending(&scratch).await?;
    let webhooks: Vec<_> = (0..20)
        .map(|_| Webhook::new(&about(&payment, "confirmed")))
        .collect();
    let answers =
        futures_util::future::join_all(webhooks.iter().map(|webhook| webhook.send(&world))).await;
    for answer in answers {
        ensure!(answer?.status() == 204);
    }
    world.outcomes(1).await?;
    ensure!(world.reports("webhook", "absorbed").await? == 19);
    ensure!(world.outcomes_waiting().await? == 0);
    world.stop().await
}
