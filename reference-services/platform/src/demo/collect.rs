//! Asks the services, the provider and the mailbox what they know when all is settled.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Context as _;
use commerce_resilient_client::{Client, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::invariants::{OrderSeen, PaymentSeen};

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
struct Payment {
    order_id: Uuid,
    status: String,
    amount: Amount,
}

#[derive(Clone, Debug, Deserialize)]
struct Notification {
    notification_id: Uuid,
    order_id: Uuid,
}

#[derive(Clone, Debug, Deserialize)]
struct Ledger {
    entries: Vec<LedgerEntry>,
}

#[derive(Clone, Debug, Deserialize)]
struct LedgerEntry {
    reference: String,
    confirmed_minor: i64,
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

/// What the provider charged, by reference.
pub(crate) async fn charged(provider: &Client) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut charged = BTreeMap::new();
    let mut page: Resource<Ledger> = provider.follow("ledger").get().await?;
    loop {
        charged.extend(
            page.data()
                .entries
                .iter()
                .map(|entry| (entry.reference.clone(), entry.confirmed_minor)),
        );
        if page.link("next").is_none() {
            return Ok(charged);
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

/// Messages that customers received, by order: those in the mailbox, told apart by the notifications they belong to.
/// Messages that belong to none are counted under the nil order, which is no order.
pub(crate) async fn told(shop: &Client, mailbox: &Path) -> anyhow::Result<HashMap<Uuid, usize>> {
    let notifications: Vec<Notification> = embedded(shop, "notifications").await?;
    let order_of: HashMap<Uuid, Uuid> = notifications
        .into_iter()
        .map(|notification| (notification.notification_id, notification.order_id))
        .collect();
    let mut told = HashMap::new();
    for notification_id in messages(mailbox).await? {
        let order_id = order_of.get(&notification_id).copied().unwrap_or_default();
        *told.entry(order_id).or_default() += 1;
    }
    Ok(told)
}

/// The notification of every message in the mailbox, from its `Message-ID`.
pub(crate) async fn messages(mailbox: &Path) -> anyhow::Result<Vec<Uuid>> {
    match tokio::fs::read(mailbox).await {
        Ok(text) => Ok(message_ids(&String::from_utf8_lossy(&text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", mailbox.display())),
    }
}

fn message_ids(mbox: &str) -> Vec<Uuid> {
    let mut ids = Vec::new();
    let mut in_headers = false;
    for line in mbox.lines() {
        if line.starts_with("From ") {
            in_headers = true;
        } else if line.trim_end().is_empty() {
            in_headers = false;
        } else if in_headers
            && let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("message-id")
        {
            let id = value
                .trim()
                .trim_start_matches('<')
                .split('@')
                .next()
                .unwrap_or_default();
            ids.push(Uuid::parse_str(id).unwrap_or_default());
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::message_ids;

    #[test]
    fn messages_are_known_by_their_header_alone() {
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mbox = format!(
            "From a@b Thu Jan  1\nSubject: paid\nMessage-ID: <{first}@loja.example>\n\nMessage-ID: <{second}@loja.example>\n>From here\n\nFrom a@b Thu Jan  1\nmessage-id: <{first}@loja.example>\n\nbody\n"
        );
        assert_eq!(message_ids(&mbox), [first, first]);
    }
}
