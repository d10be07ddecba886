//! Notifications: tells each customer once how the payment went.
//!
//! It consumes what orders announce (received, payment pending, cancelled), writes one e-mail for each outcome and
//! attempt, and announces that the customer was told.
//!
//! # Once
//! An e-mail cannot be part of a database transaction. So it is sent first, while nothing is locked, and recorded
//! afterwards, in the transaction that also marks the event as handled. When the process dies in between, the event is
//! delivered and the e-mail sent again, with the same Message-ID, because that is made of order, outcome and attempt:
//! - a **mailbox file** that has the Message-ID already is left as it is: exactly once;
//! - **SMTP** has no such question to ask. The server may have accepted the first e-mail, so the customer may get a
//!   second one; most mail stores fold messages with the same Message-ID into one. The window is the moment between
//!   the server's `250` and our commit.

mod config;
mod consumer;
mod http;
mod letter;
mod notice;
mod store;
mod transport;

use anyhow::Context as _;
use commerce_contracts::Event as _;
use commerce_contracts::commerce::CustomerNotified;
use commerce_host::{Resources, Service};

pub use crate::config::{Config, Sender, TransportUrl};
pub use crate::letter::Letter;
pub use crate::notice::Notice;
pub use crate::transport::{Delivered, DeliveryError, Mailbox, Transport};

/// The name of the service, its database and its subscription.
pub const NAME: &str = "notifications";

/// Puts the service together.
pub async fn service(config: Config, resources: &Resources) -> anyhow::Result<Service> {
    let database = resources.database(NAME).await?;
    database.migrate(NAME, store::MIGRATIONS).await?;
    let transport = config
        .transport(&resources.settings.data)
        .open()
        .await
        .context("cannot send e-mails")?;
    let notifier = consumer::Notifier::new(database.clone(), transport, config.from);
    let (bus, concurrency) = (resources.bus.clone(), config.concurrency);
    let service = Service::new(NAME)
        .title("Notifications: what customers were told")
        .routes(http::routes(database.clone()))
        .link("notifications", "/notifications{?order_id,limit,cursor}")
        .link("notification", "/notifications/{notification_id}")
        .consumer(move || consumer::consumer(notifier.clone(), bus.clone(), concurrency))
        .outbox(database)
        // Who was told what is for whoever asks; the platform itself does not.
        .unheard(CustomerNotified::TOPIC);
    Ok(service)
}
