//! What the tests share: a running service, a provider, a bus, tokens, and patience.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::Utc;
use commerce_contracts::CloudEvent;
use commerce_contracts::commerce::{
    Currency, Money, OrderId, OrganizationId, PaymentMethod, PaymentRequested,
};
use commerce_event_bus::{
    DeadLetter, EventBus, Message, Subscriber, Subscription, SubscriptionName, TopicName,
};
use commerce_host::testing::{Scratch, Tokens, resources};
use commerce_host::{Drained, Handle, Host, Resources, Running};
use commerce_payments::Config;
use commerce_provider_sandbox::Faults;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use url::Url;
use uuid::Uuid;

pub(crate) const API_KEY: &str = "test-api-key";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_dGVzdC13ZWJob29rLXNlY3JldC0wMDAwMDE=";
pub(crate) const READ: &str = "payments.payment.read";
/// Long enough for a busy machine; nothing waits for it when things go well.
const PATIENCE: Duration = Duration::from_mins(1);

/// Payments and a provider, running.
pub(crate) struct World {
    pub(crate) http: reqwest::Client,
    pub(crate) organization: OrganizationId,
    tokens: Tokens,
    bus: EventBus,
    outcomes: Subscriber,
    payments: Running,
    /// The sandbox and what keeps its files.
    sandbox: Option<(Running, Scratch)>,
    provider_url: String,
}

impl World {
    /// Payments and the sandbox, on this bus and store.
    pub(crate) async fn start(
        scratch: &Scratch,
        bus: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self> {
        Self::start_around(scratch, bus, change, |_, handlers| handlers).await
    }

    /// The same, with something around the handlers of events.
    pub(crate) async fn start_around(
        scratch: &Scratch,
        bus: &str,
        change: impl FnOnce(&mut Config),
        around: impl Fn(&str, Handle) -> Handle + Send + Sync + 'static,
    ) -> Result<Self> {
        let tokens = Tokens::new()?;
        let payments = resources(scratch, bus, &tokens).await?;
        let provider_scratch = Scratch::sqlite()?;
        let provider = resources(&provider_scratch, "memory:", &tokens).await?;
        let webhook_url = payments.public_url.join(commerce_payments::WEBHOOK_PATH)?;
        let mut config = Config::new(
            provider.public_url.clone(),
            API_KEY.into(),
            WEBHOOK_SECRET.into(),
        );
        change(&mut config);
        let sandbox = commerce_provider_sandbox::Config::new(
            API_KEY.into(),
            webhook_url,
            WEBHOOK_SECRET.into(),
        );
        let sandbox = commerce_provider_sandbox::service(sandbox, &provider).await?;
        let sandbox = Host::new(provider).mount(sandbox).start().await?;
        let mut world = Self::run(payments, tokens, config, around).await?;
        world.sandbox = Some((sandbox, provider_scratch));
        Ok(world)
    }

    /// Payments alone, with a provider that the test plays.
    pub(crate) async fn with_provider(scratch: &Scratch, provider_url: &str) -> Result<Self> {
        Self::with_provider_and(scratch, provider_url, |_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn with_provider_and(
        scratch: &Scratch,
        provider_url: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self> {
        let tokens = Tokens::new()?;
        let payments = resources(scratch, "memory:", &tokens).await?;
        let mut config = Config::new(
            Url::parse(provider_url)?,
            API_KEY.into(),
            WEBHOOK_SECRET.into(),
        );
        change(&mut config);
        Self::run(payments, tokens, config, |_, handlers| handlers).await
    }

    async fn run(
        payments: Resources,
        tokens: Tokens,
        config: Config,
        around: impl Fn(&str, Handle) -> Handle + Send + Sync + 'static,
    ) -> Result<Self> {
        let bus = payments.bus.clone();
        let outcomes = Subscription::new(
            TopicName::new("payments")?,
            SubscriptionName::new("witness")?,
        );
        let outcomes = bus.subscribe(outcomes).await?;
        let provider_url = config.provider_url().to_string();
        let service = commerce_payments::service(config, &payments).await?;
        let payments = Host::new(payments)
            .mount(service)
            .around_consumers(around)
            .start()
            .await?;
        Ok(Self {
            http: reqwest::Client::new(),
            organization: OrganizationId::new(),
            tokens,
            bus,
            outcomes,
            payments,
            sandbox: None,
            provider_url,
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.payments.url().trim_end_matches('/'))
    }

    /// Sets what goes wrong at the provider.
    pub(crate) async fn faults(&self, faults: &Value) -> Result<Faults> {
        let url = format!("{}faults", self.provider_url);
        let answer = self
            .http
            .put(url)
            .bearer_auth(API_KEY)
            .json(faults)
            .send()
            .await?
            .error_for_status()?;
        Ok(answer.json().await?)
    }

    /// Takes a charge at the provider, as another program would.
    pub(crate) async fn charge(&self, key: &str, charge: &Value) -> Result<()> {
        let url = format!("{}charges", self.provider_url);
        let request = self.http.post(url).bearer_auth(API_KEY).json(charge);
        request
            .header("idempotency-key", key)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// What the service could not handle: exactly one event.
    pub(crate) async fn dead_letter(&self) -> Result<DeadLetter> {
        let (topic, name) = (
            TopicName::new("orders")?,
            SubscriptionName::new("payments")?,
        );
        eventually(async || {
            let mut letters = self.bus.dead_letters(&topic, &name, 10).await?;
            ensure!(letters.len() == 1, "{} dead letters", letters.len());
            Ok(letters.remove(0))
        })
        .await
    }

    /// The provider's ledger: reference and how often it was charged.
    pub(crate) async fn ledger(&self) -> Result<Vec<Value>> {
        let url = format!("{}ledger", self.provider_url);
        let ledger: Value = self
            .http
            .get(url)
            .bearer_auth(API_KEY)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(ledger["entries"].as_array().context("no entries")?.clone())
    }

    /// Asks for an order to be paid, as orders do, and returns the order.
    pub(crate) async fn request(&self, amount_minor: i64) -> Result<OrderId> {
        let order_id = OrderId::new();
        self.request_attempt(order_id, 1, amount_minor).await?;
        Ok(order_id)
    }

    /// The same for an order and attempt of the test's own.
    pub(crate) async fn request_attempt(
        &self,
        order_id: OrderId,
        attempt: u32,
        amount_minor: i64,
    ) -> Result<()> {
        let event = PaymentRequested {
            organization_id: self.organization,
            order_id,
            attempt,
            amount: Money::new(amount_minor, Currency::BRL),
            method: PaymentMethod::CreditCard,
            installments: 3,
            requested_at: Utc::now(),
        };
        let mut message = Message::of(&event)?;
        message.event = message
            .event
            .with_transaction_id(format!("order-{order_id}"))?;
        // The consumer may not have subscribed yet; some brokers refuse what has nowhere to go. A repetition is the same
        // event, which the inbox absorbs.
        let bus = self.bus.clone();
        eventually(async || {
            bus.publish(message.clone())
                .await
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            Ok(())
        })
        .await
    }

    /// The next so many outcomes that are announced.
    pub(crate) async fn outcomes(&mut self, count: usize) -> Result<Vec<CloudEvent>> {
        let mut events = Vec::new();
        while events.len() < count {
            let delivery = timeout(PATIENCE, self.outcomes.next())
                .await
                .with_context(|| format!("{} of {count} outcomes were announced", events.len()))??
                .context("the bus was closed")?;
            events.push(delivery.message().event.clone());
            delivery
                .ack()
                .await
                .map_err(|error| anyhow::anyhow!("{error}"))?;
        }
        Ok(events)
    }

    /// How many outcomes are announced that nobody has taken yet.
    pub(crate) async fn outcomes_waiting(&self) -> Result<u64> {
        let backlog = self
            .bus
            .backlog(
                &TopicName::new("payments")?,
                &SubscriptionName::new("witness")?,
            )
            .await?;
        Ok(backlog.waiting + backlog.in_flight)
    }

    pub(crate) fn token(&self, permissions: &[&str]) -> Result<String> {
        self.tokens.token(self.organization.as_uuid(), permissions)
    }

    pub(crate) fn token_of(&self, organization: Uuid) -> Result<String> {
        self.tokens.token(organization, &[READ])
    }

    /// The payments of an order, as the API shows them.
    pub(crate) async fn payments_of(&self, order_id: OrderId) -> Result<Vec<Value>> {
        let url = self.url(&format!("/payments?order_id={order_id}"));
        let page: Value = self
            .http
            .get(url)
            .bearer_auth(self.token(&[READ])?)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(page["_embedded"]["payments"]
            .as_array()
            .context("no payments")?
            .clone())
    }

    /// Waits until the order has one payment of this status, and returns it.
    pub(crate) async fn payment(&self, order_id: OrderId, status: &str) -> Result<Value> {
        eventually(async || {
            let found = self.payments_of(order_id).await?;
            ensure!(found.len() == 1, "{} payments", found.len());
            ensure!(found[0]["status"] == status, "it is {}", found[0]["status"]);
            Ok(found[0].clone())
        })
        .await
    }

    /// Metrics of the service as Prometheus reads them.
    pub(crate) async fn reports(&self, source: &str, outcome: &str) -> Result<u64> {
        let text = self
            .http
            .get(self.url("/metrics"))
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?;
        let line = text.lines().find(|line| {
            line.starts_with("payments_provider_reports_total")
                && line.contains(&format!("source=\"{source}\""))
                && line.contains(&format!("outcome=\"{outcome}\""))
        });
        let value = line.and_then(|line| line.rsplit(' ').next()).unwrap_or("0");
        Ok(value.parse()?)
    }

    /// Ends everything in order; anything but a clean end is an error.
    pub(crate) async fn stop(self) -> Result<()> {
        self.outcomes.close().await;
        let drained = self.payments.shutdown().await;
        ensure!(drained == Drained::Clean, "{drained:?}");
        if let Some((sandbox, _files)) = self.sandbox {
            let drained = sandbox.shutdown().await;
            ensure!(drained == Drained::Clean, "{drained:?}");
        }
        Ok(())
    }
}

/// Tries until it succeeds or patience ends; the last error is the one to tell.
pub(crate) async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context("it did not happen in time"));
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// An answer that refuses must say so as a problem document.
pub(crate) async fn problem(answer: reqwest::Response, status: u16) -> Result<Value> {
    ensure!(
        answer.status() == status,
        "{} instead of {status}",
        answer.status()
    );
    let content_type = answer.headers()["content-type"].to_str()?.to_owned();
    ensure!(content_type == "application/problem+json", "{content_type}");
    let problem: Value = answer.json().await?;
    ensure!(
        problem["status"] == status && problem["title"].is_string(),
        "{problem}"
    );
    Ok(problem)
}

/// The links of a provider that a test plays.
pub(crate) fn provider_entry() -> Value {
    json!({"_links": {"charges": {"href": "/charges"}, "charge": {"href": "/charges/{id}", "templated": true}}})
}
