//! Orders: a hypermedia API over an order state machine.
//!
//! ```text
//! POST /orders, …/checkout, …/cancel ─▶ [ state + history + events : one transaction ] ─▶ relay ─▶ topic `orders`
//! topic `payments` ─▶ PaymentConfirmed ─▶ RECEIVED          ─▶ OrderReceived, PreparationRequested
//!                  ─▶ PaymentRejected  ─▶ PAYMENT_PENDING   ─▶ OrderPaymentPending
//! ```
//!
//! [`decide`] says what may happen next; the API offers a link for exactly that.

mod announce;
mod api;
mod config;
mod order;
mod outcomes;
mod schema;
mod state;
mod store;

use commerce_consumer_framework::{Backoff, Consumer};
use commerce_host::{Resources, Service};
use std::time::Duration;

pub use crate::api::permissions;
pub use crate::config::Config;
pub use crate::state::{Command, NotAllowed, Standing, State, UnknownState, decide};

/// Only the database can fail here, and it comes back: an outcome is tried for the better part of an hour before it goes
/// to the dead letters.
const RETRY: Backoff =
    Backoff::exponential(Duration::from_millis(200), Duration::from_secs(30)).attempts(100);

/// The service, on a database of its own.
///
/// # Errors
/// When the database cannot be opened.
pub async fn service(config: Config, resources: &Resources) -> anyhow::Result<Service> {
    let database = resources.database("orders").await?;
    database.migrate("orders", schema::MIGRATIONS).await?;
    let (bus, inbox) = (resources.bus.clone(), database.clone());
    Ok(Service::new("orders")
        .title("Orders")
        .routes(api::routes(config, database.clone()))
        .link("orders", "/orders{?cursor,limit,state}")
        .link("order", "/orders/{order_id}")
        .consumer(move || {
            Consumer::new("orders", bus.clone())
                .inbox(inbox.clone())
                .on(outcomes::payment_confirmed)
                .on(outcomes::payment_rejected)
                .retry(RETRY)
        })
        .outbox(database))
}
