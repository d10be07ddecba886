//! Asks the services, the provider and the mailbox what they know when all is settled.

use std::collections::HashMap;
use std::path::Path;

use commerce_resilient_client::{Client, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::invariants::{LedgerEntry, MailSeen, OrderSeen, PaymentSeen};
use super::mailbox;

/// Entries asked for on one page.
const PAGE: u32 = 200;

#[derive(Clone, Copy, Debug, Deserialize)]
struct Amount {
    amount_minor: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[expect(
    clippy::struct_field_names,
    reason = "fields are named as the API names them"
)]
struct Order {
    order_id: Uuid,
    state: String,
    total: Amount,
}

#[derive(Clone, Debug, Deserialize)]
#[expect(
    clippy::struct_field_names,
    reason = "fields are named as the API names them"
)]
struct Payment {
    payment_id: Uuid,
    order_id: Uuid,
    status: String,
    amount: Amount,
}

#[derive(Clone, Debug, Deserialize)]
#[expect(
    clippy::struct_field_names,
    reason = "fields are named as the API names them"
)]
struct Notification {
    notification_id: Uuid,
    order_id: Uuid,
    outcome: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Ledger {
    entries: Vec<LedgerEntry>,
}

/// A page of which only the links and the embedded resources matter.
#[derive(Clone, Debug, Deserialize)]
struct Page {}

/// Every order that the shop has.
pub(crate) async fn orders(shop: &Client) -> anyhow::Result<Vec<OrderSeen>> {
    let orders: Vec<Order> = embedded(shop, "orders").await?;
    Ok(orders
        .into_iter()
        .map(|order| OrderSeen {
            order_id: order.order_id,
            state: order.state,
            total: order.total.amount_minor,
        })
        .collect())
}

/// Every payment of the shop's orders.
pub(crate) async fn payments(shop: &Client) -> anyhow::Result<Vec<PaymentSeen>> {
    let payments: Vec<Payment> = embedded(shop, "payments").await?;
    Ok(payments
        .into_iter()
        .map(|payment| PaymentSeen {
            payment_id: payment.payment_id,
            order_id: payment.order_id,
            status: payment.status,
            amount: payment.amount.amount_minor,
        })
        .collect())
}

/// Whether any order is in a state.
pub(crate) async fn any_in_state(shop: &Client, state: &str) -> anyhow::Result<bool> {
    let page: Resource<Page> = shop
        .follow("orders")
        .with("state", state)
        .with("limit", 1)
        .get()
        .await?;
    Ok(!page.embedded::<Order>("orders")?.is_empty())
}

/// What the provider was asked to charge, and charged.
pub(crate) async fn ledger(provider: &Client) -> anyhow::Result<Vec<LedgerEntry>> {
    let mut entries = Vec::new();
    let mut page: Resource<Ledger> = provider.follow("ledger").get().await?;
    loop {
        entries.extend(page.data().entries.iter().cloned());
        if page.link("next").is_none() {
            return Ok(entries);
        }
        page = page.follow("next").get().await?;
    }
}

async fn embedded<T: DeserializeOwned>(shop: &Client, relation: &str) -> anyhow::Result<Vec<T>> {
    let mut all = Vec::new();
    let mut page: Resource<Page> = shop.follow(relation).with("limit", PAGE).get().await?;
    loop {
        all.extend(
            page.embedded::<T>(relation)?
                .into_iter()
                .map(Resource::into_data),
        );
        if page.link("next").is_none() {
            return Ok(all);
        }
        page = page.follow("next").get().await?;
    }
}

/// Messages that customers received: those in the mailbox, with what their notifications say.
pub(crate) async fn mails(shop: &Client, mailbox: &Path) -> anyhow::Result<Vec<MailSeen>> {
    let notifications: Vec<Notification> = embedded(shop, "notifications").await?;
    let mut known: HashMap<Uuid, Notification> = HashMap::new();
    for notification in notifications {
        known.insert(notification.notification_id, notification);
    }
    let mails = mailbox::read(mailbox).await?.into_iter();
    Ok(mails
        .map(|mail| {
            let notification = known.get(&mail.notification_id);
            MailSeen {
                order_id: notification.map(|notification| notification.order_id),
                outcome: notification.map_or_else(String::new, |known| known.outcome.clone()),
                recipient: mail.recipient,
            }
        })
        .collect())
}
