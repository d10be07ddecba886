//! Brings charges to their outcome when their time has come, and announces it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use commerce_consumer_framework::storage::{Error, Transaction};
use commerce_host::Shutdown;
use serde_json::json;
use uuid::Uuid;

use crate::Sandbox;
use crate::charge::Charge;
use crate::faults::Injector;

/// Settlement looks at least so often.
const TICK: Duration = Duration::from_millis(20);
const BATCH: usize = 100;

#[derive(sqlx::FromRow)]
struct Due {
    #[sqlx(flatten)]
    charge: Charge,
    outcome: String,
}

pub(crate) async fn run(sandbox: Sandbox, shutdown: Shutdown) -> anyhow::Result<()> {
    while !shutdown.is_requested() {
        let settled = settle(&sandbox).await?;
        if settled < BATCH {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = shutdown.requested() => {}
            }
        }
    }
    Ok(())
}

async fn settle(sandbox: &Sandbox) -> Result<usize, Error> {
    let due: Vec<Due> = sandbox
        .database
        .query(
            "SELECT id, reference, amount_minor, currency, method, installments, status, reason, created_at, outcome
             FROM charges WHERE status = 'processing' AND settles_at <= $1 ORDER BY settles_at LIMIT 100",
        )
        .bind(Utc::now())
        .fetch_all()
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    let count = due.len();
    let mut twice = 0;
    let mut tx = sandbox.database.begin().await?;
    for Due {
        mut charge,
        outcome,
    } in due
    {
        charge.reason = (outcome == "rejected").then(|| "refused by the issuer".to_owned());
        charge.status = outcome;
        let changed = tx
            .query("UPDATE charges SET status = $1, reason = $2 WHERE id = $3 AND status = 'processing'")
            .bind(&charge.status)
            .bind(charge.reason.clone())
            .bind(charge.id)
            .execute()
            .await?;
        if changed == 1 {
            twice += u64::from(announce(&mut tx, &sandbox.faults, &charge, Utc::now()).await?);
        }
    }
    tx.commit().await?;
    sandbox.counts.duplicated(twice);
    sandbox.work.notify_waiters();
    Ok(count)
}

/// Puts a webhook about the charge's status in the queue; twice where the faults say so, and then it answers true. A
/// repetition carries the same `webhook-id`: that is how a receiver knows it.
pub(crate) async fn announce(
    tx: &mut Transaction,
    faults: &Injector,
    charge: &Charge,
    due_at: DateTime<Utc>,
) -> Result<bool, Error> {
    let webhook_id = format!("msg_{}", Uuid::now_v7().simple());
    let body = json!({
        "type": format!("charge.{}", charge.status),
        "timestamp": Utc::now(),
        "data": {
            "charge_id": charge.id,
            "reference": charge.reference,
            "amount_minor": charge.amount_minor,
            "currency": charge.currency,
            "status": charge.status,
            "reason": charge.reason,
        },
    });
    let twice = faults.duplicates();
    let times: &[i64] = if twice { &[0, 50] } else { &[0] };
    for later in times {
        tx.query("INSERT INTO webhooks (id, webhook_id, charge_id, body, attempts, due_at) VALUES ($1, $2, $3, $4, 0, $5)")
            .bind(Uuid::now_v7())
            .bind(&webhook_id)
            .bind(charge.id)
            .bind(body.to_string())
            .bind(due_at + TimeDelta::milliseconds(*later))
            .execute()
            .await?;
    }
    Ok(twice)
}
