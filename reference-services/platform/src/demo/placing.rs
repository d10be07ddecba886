//! Places orders through the public API, the way a shop would: by following links.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use commerce_resilient_client::{Client, Resource};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::orders::{Intent, OrderDraft};
use super::progress::Progress;

/// Requests under way at once.
const AT_ONCE: usize = 16;

#[derive(Clone, Debug, Deserialize)]
struct Order {
    state: String,
}

/// Places every order and brings it on its way. An order placed before is left as it is and only brought on its way.
/// Returns how many had been placed before.
///
/// `placed` says how many are on their way.
pub(crate) async fn place_all(
    shop: &Client,
    orders: &[OrderDraft],
    placed: &watch::Sender<usize>,
) -> anyhow::Result<u64> {
    let progress = Progress::begin("placing orders", orders.len());
    let again = AtomicU64::new(0);
    stream::iter(orders)
        .map(|draft| async {
            let placed_before = place(shop, draft).await.with_context(|| {
                format!(
                    "order {} ({})",
                    draft.request.reference, draft.request.order_id
                )
            })?;
            again.fetch_add(u64::from(placed_before), Ordering::Relaxed);
            placed.send_modify(|placed| *placed += 1);
            progress.at(*placed.borrow(), "");
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    let again = again.into_inner();
    progress.end(&format!("{} placed, {again} of them before", orders.len()));
    Ok(again)
}

async fn place(shop: &Client, draft: &OrderDraft) -> anyhow::Result<bool> {
    let key = draft.request.order_id.to_string();
    let order: Resource<Order> = shop
        .follow("orders")
        .post(&draft.request)
        .idempotency_key(&key)
        .send()
        .await?;
    let placed_before = order.already_applied();
    bring_on_its_way(&order, draft).await?;
    Ok(placed_before)
}

/// Follows the link that the intent asks for, as long as the order offers it.
async fn bring_on_its_way(order: &Resource<Order>, draft: &OrderDraft) -> anyhow::Result<()> {
    if order.data().state != "CREATED" {
        return Ok(());
    }
    let (relation, body) = match &draft.intent {
        Intent::CheckOut => ("checkout", json!({})),
        Intent::Cancel(reason) => ("cancel", json!({ "reason": reason })),
    };
    if order.link(relation).is_none() {
        bail!("the order is CREATED and offers no link `{relation}`");
    }
    let moved = order
        .follow(relation)
        .post(&body)
        .idempotency_key(&format!("{relation} {}", draft.request.order_id))
        .send::<Order>()
        .await;
    match moved {
        Ok(_) => Ok(()),
        // A repetition of a request that had its effect finds the order elsewhere already.
        Err(error) => {
            let now: Resource<Order> = order.reload().await?;
            if now.data().state == "CREATED" {
                Err(error.into())
            } else {
                Ok(())
            }
        }
    }
}
