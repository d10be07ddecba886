//! Keeping leases while their holder lives.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use sqlx::SqliteConnection;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::Shared;
use super::claim::number;
use super::clock::{self, Millis};
use super::desk::Desk;
use super::fault::Fault;
use super::statements::EXTEND;
use super::writer::{self, Reply};
use crate::backend::Receipt;

/// Leases to extend.
pub(super) struct Job {
    pub(super) subscription: i64,
    pub(super) receipts: Vec<Receipt>,
    pub(super) lease: std::time::Duration,
    /// Those that still held.
    pub(super) reply: Reply<Vec<Receipt>>,
}

impl Job {
    pub(super) fn kept(&self, extended: &HashSet<(i64, Receipt)>) -> Vec<Receipt> {
        let kept = |receipt: &&Receipt| extended.contains(&(self.subscription, **receipt));
        self.receipts.iter().filter(kept).copied().collect()
    }
}

/// Extends leases; gives those that held.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    jobs: &[Job],
    now: Millis,
) -> Result<HashSet<(i64, Receipt)>, sqlx::Error> {
    let leases: Vec<_> = jobs
        .iter()
        .flat_map(|job| {
            let until = clock::after(now, job.lease);
            job.receipts
                .iter()
                .map(move |receipt| (job.subscription, receipt.id, receipt.fence, until))
        })
        .collect();
    if leases.is_empty() {
        return Ok(HashSet::new());
    }
    let kept: Vec<(i64, i64, i64)> = sqlx::query_as(EXTEND)
        .bind(serde_json::json!(leases).to_string())
        .fetch_all(connection)
        .await?;
    Ok(kept
        .into_iter()
        .map(|(subscription, sequence, fence)| {
            (subscription, Receipt::new(number(sequence), number(fence)))
        })
        .collect())
}

/// Extends the leases of a desk three times per lease, as long as anybody holds the desk.
pub(super) async fn keep(shared: Weak<Shared>, desk: Weak<Desk>) {
    loop {
        let Some(pause) = desk.upgrade().map(|desk| desk.lease / 3) else {
            return;
        };
        sleep(pause).await;
        let (Some(shared), Some(desk)) = (shared.upgrade(), desk.upgrade()) else {
            return;
        };
        let receipts = desk.receipts();
        if receipts.is_empty() {
            if desk.is_closed() {
                return;
            }
            continue;
        }
        match extend(&shared, &desk, receipts.clone()).await {
            Ok(kept) => forget_lost(&desk, &receipts, &kept),
            Err(Fault::Closed) => return,
            Err(fault) => {
                tracing::warn!(error = ?fault, "leases not extended; the next try is due before they end");
            }
        }
    }
}

async fn extend(
    shared: &Shared,
    desk: &Arc<Desk>,
    receipts: Vec<Receipt>,
) -> Result<Vec<Receipt>, Fault> {
    let (reply, answer) = oneshot::channel();
    shared.ask(writer::Job::Extend(Job {
        subscription: desk.place.subscription,
        receipts,
        lease: desk.lease,
        reply,
    }))?;
    answer.await.unwrap_or(Err(Fault::Closed))
}

fn forget_lost(desk: &Desk, asked: &[Receipt], kept: &[Receipt]) {
    let kept: HashSet<&Receipt> = kept.iter().collect();
    for receipt in asked.iter().filter(|receipt| !kept.contains(receipt)) {
        // Settled meanwhile, most of the time; else this process slept through its lease.
        if desk.let_go(*receipt) {
            tracing::debug!(sequence = receipt.id, "a lease no longer holds");
        }
    }
}
