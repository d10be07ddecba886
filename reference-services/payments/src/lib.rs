//! Payments: requests to a payment provider and its signed answers.
//!
//! ```text
//! PaymentRequested ─▶ POST charge (idempotent) ─▶ PENDING ─┬─ webhook, signed ──┐
//!                                                          └─ reconciliation ───┴─▶ CONFIRMED ─▶ PaymentConfirmed
//!                                                                                 ▶ REJECTED  ─▶ PaymentRejected
//! ```
//!
//! A payment's id follows from order and attempt and is the provider's idempotency key, so nothing that is repeated
//! charges twice. [`Status`] says what every report does to a payment, in whatever order reports come.

mod api;
mod config;
mod cursor;
mod hearing;
mod payment;
mod provider;
mod reconcile;
mod reports;
mod request;
mod schema;
mod status;
mod store;
mod webhook;

use std::time::Duration;

use anyhow::Context as _;
use commerce_consumer_framework::storage::Database;
use commerce_consumer_framework::{Backoff, Consumer};
use commerce_host::settings::Mistakes;
use commerce_host::{Resources, Service};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use utoipa_axum::router::OpenApiRouter;

pub use crate::api::READ_PAYMENT;
pub use crate::config::Config;
pub use crate::status::{Report, Status, Step, UnknownStatus};
pub use crate::webhook::{InvalidSecret, PATH as WEBHOOK_PATH};

use crate::provider::Provider;
use crate::reports::Reports;

/// An event is tried for the better part of an hour: a provider that is away for longer needs a person anyway.
const RETRY: Backoff =
    Backoff::exponential(Duration::from_millis(200), Duration::from_secs(30)).attempts(100);

/// What handlers and tasks share.
#[derive(Clone, Debug)]
struct Payments {
    database: Database,
    provider: Provider,
    webhooks: webhook::Verifier,
    reports: Reports,
}

/// The service, on a database of its own.
///
/// # Errors
/// When a setting is wrong or the database cannot be opened.
pub async fn service(config: Config, resources: &Resources) -> anyhow::Result<Service> {
    Mistakes::refuse(config.check(&resources.settings))?;
    let secrets = [
        Some(&config.webhook_secret),
        config.previous_webhook_secret.as_ref(),
    ];
    let webhooks = webhook::Verifier::new(secrets.into_iter().flatten())
        .context("payments.webhook_secret is wrong")?;
    let provider = Provider::new(&config).context("payments.provider_url is wrong")?;
    let database = resources.database("payments").await?;
    database.migrate("payments", schema::MIGRATIONS).await?;
    observe(&provider, resources.metrics.meter());
    let reports = Reports::new(resources.metrics.meter());
    let payments = Payments {
        database: database.clone(),
        provider,
        webhooks,
        reports,
    };

    let routes = OpenApiRouter::new()
        .merge(api::routes())
        .merge(webhook::routes())
        .with_state(payments.clone());
    let (bus, reconciling) = (resources.bus.clone(), payments.clone());
    let reconcile_after = config.reconcile_after;
    Ok(Service::new("payments")
        .title("Payments")
        .routes(routes)
        .link("payments", "/payments{?order_id,cursor,limit}")
        .link("payment", "/payments/{id}")
        .consumer(move || {
            Consumer::new("payments", bus.clone())
                .inbox(payments.database.clone())
                .state(payments.clone())
                .on(request::request_payment)
                .retry(RETRY)
        })
        .outbox(database)
        .task("reconcile", move |shutdown| {
            reconcile::run(reconciling.clone(), reconcile_after, shutdown)
        }))
}

/// Shows what the client of the provider does.
fn observe(provider: &Provider, meter: &Meter) {
    let provider = provider.clone();
    meter
        .u64_observable_counter("payments.provider.client")
        .with_description("Requests to the payment provider: attempts, retries, openings and rejections of the circuit.")
        .with_callback(move |observer| {
            let stats = provider.stats();
            for (what, count) in [
                ("attempts", stats.attempts),
                ("retries", stats.retries),
                ("breaker_opens", stats.breaker_opens),
                ("breaker_rejections", stats.breaker_rejections),
            ] {
                observer.observe(count, &[KeyValue::new("what", what)]);
            }
        })
        .build();
}
