//! A payment provider to test against: charges over HTTP, signed webhooks about what became of them, and faults on
//! demand. It stands for a company outside the platform: it knows nothing of orders and shares no code with payments.
//!
//! | request | does |
//! |---|---|
//! | `POST /charges` with `Idempotency-Key` | takes a charge; the same key and body give the same charge again |
//! | `GET /charges/{id}` | what became of it |
//! | `GET /charges?reference=…` | the charges that their caller calls so |
//! | `GET /ledger` | every reference, how often and for how much it was charged |
//! | `GET /faults`, `PUT /faults` | latency, errors, outage, duplicated and reordered webhooks, rejections |
//! | `GET /faults/counts` | how often each of them happened since the start |
//!
//! Charges and webhooks not yet delivered are kept in a database, so that a crash loses neither. Webhooks follow
//! [Standard Webhooks](https://www.standardwebhooks.com/): `charge.processing`, then `charge.confirmed` or
//! `charge.rejected`, repeated until they are answered with a 2xx.

mod api;
mod charge;
mod config;
mod counts;
mod courier;
mod faults;
mod ledger;
mod schema;
mod settlement;
mod signature;

use std::sync::Arc;

use commerce_consumer_framework::storage::Database;
use commerce_host::settings::Mistakes;
use commerce_host::{Resources, Service};
use tokio::sync::Notify;

pub use crate::config::Config;
pub use crate::faults::Faults;

use crate::counts::Counts;
use crate::courier::Courier;
use crate::faults::Injector;

/// What the handlers and tasks share.
#[derive(Clone, Debug)]
struct Sandbox {
    config: Arc<Config>,
    database: Database,
    faults: Injector,
    counts: Counts,
    /// Rings when there is something to settle or to deliver.
    work: Arc<Notify>,
}

/// The provider on a database of its own.
///
/// # Errors
/// When a setting is wrong or the database cannot be opened.
pub async fn service(config: Config, resources: &Resources) -> anyhow::Result<Service> {
    Mistakes::refuse(config.check(&resources.settings))?;
    let database = resources.database("provider_sandbox").await?;
    database
        .migrate("provider_sandbox", schema::MIGRATIONS)
        .await?;
    let sandbox = Sandbox {
        faults: Injector::new(config.seed, config.faults.clone()),
        counts: Counts::default(),
        config: Arc::new(config),
        database: database.clone(),
        work: Arc::new(Notify::new()),
    };
    let settling = sandbox.clone();
    let courier = Courier::new(sandbox.clone())?;
    Ok(Service::new("provider-sandbox")
        .title("Payment provider sandbox")
        // Callers show an API key; there is no issuer to wait for.
        .without_tokens()
        .routes(api::routes(sandbox))
        .link("charges", "/charges{?reference}")
        .link("charge", "/charges/{id}")
        .link("ledger", "/ledger{?cursor}")
        .link("faults", "/faults")
        .link("fault-counts", "/faults/counts")
        .task("settlement", move |shutdown| {
            settlement::run(settling.clone(), shutdown)
        })
        .task("courier", move |shutdown| courier.clone().run(shutdown))
        .check("database", move || {
            let database = database.clone();
            async move { Ok(database.check().await?) }
        }))
}
