//! A charge, and how it is kept.

use chrono::{DateTime, TimeDelta, Utc};
use commerce_consumer_framework::storage::Error;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Sandbox;
use crate::settlement;

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCharge {
    /// The caller's own name for it.
    pub(crate) reference: String,
    /// In the currency's smallest unit, more than zero.
    pub(crate) amount_minor: i64,
    /// ISO 4217.
    pub(crate) currency: String,
    /// `pix`, `credit_card`, …
    pub(crate) method: String,
    /// At least one.
    pub(crate) installments: u32,
}

/// A charge as callers see it.
#[derive(Clone, Debug, Serialize, sqlx::FromRow, ToSchema)]
pub(crate) struct Charge {
    #[serde(rename = "charge_id")]
    pub(crate) id: Uuid,
    pub(crate) reference: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) method: String,
    pub(crate) installments: i64,
    /// `processing`, `confirmed` or `rejected`.
    pub(crate) status: String,
    /// Why it was rejected.
    pub(crate) reason: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// How a request for a charge ended.
pub(crate) enum Taken {
    Created(Charge),
    /// The same request came before.
    Again(Charge),
    /// The key came before, with another request.
    KeyReused,
}

const COLUMNS: &str =
    "id, reference, amount_minor, currency, method, installments, status, reason, created_at";
/// A charge settles between these two.
const SHORTEST_MS: f64 = 10.0;
const LONGEST_MS: f64 = 120.0;

impl Charge {
    fn answers(&self, asked: &NewCharge) -> bool {
        self.reference == asked.reference
            && self.amount_minor == asked.amount_minor
            && self.currency == asked.currency
            && self.method == asked.method
            && self.installments == i64::from(asked.installments)
    }
}

pub(crate) async fn take(sandbox: &Sandbox, key: &str, asked: NewCharge) -> Result<Taken, Error> {
    let mut tx = sandbox.database.begin().await?;
    let known: Option<Charge> = tx
        .query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM charges WHERE idempotency_key = $1"
        )))
        .bind(key)
        .fetch_optional()
        .await?;
    if let Some(charge) = known {
        return Ok(if charge.answers(&asked) {
            Taken::Again(charge)
        } else {
            Taken::KeyReused
        });
    }
    let now = Utc::now();
    let rejected = sandbox.faults.rejects(&asked.reference);
    let pace = SHORTEST_MS + (LONGEST_MS - SHORTEST_MS) * sandbox.faults.pace();
    #[expect(clippy::cast_possible_truncation, reason = "between 10 and 120")]
    let settles_at = now + TimeDelta::milliseconds(pace as i64);
    let charge = Charge {
        id: Uuid::now_v7(),
        reference: asked.reference,
        amount_minor: asked.amount_minor,
        currency: asked.currency,
        method: asked.method,
        installments: i64::from(asked.installments),
        status: "processing".into(),
        reason: None,
        created_at: now,
    };
    tx.query(
        "INSERT INTO charges (id, idempotency_key, reference, amount_minor, currency, method, installments, status, outcome, created_at, settles_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(charge.id)
    .bind(key)
    .bind(&charge.reference)
    .bind(charge.amount_minor)
    .bind(&charge.currency)
    .bind(&charge.method)
    .bind(charge.installments)
    .bind(&charge.status)
    .bind(if rejected { "rejected" } else { "confirmed" })
    .bind(now)
    .bind(settles_at)
    .execute()
    .await?;
    let late = sandbox
        .faults
        .reorders()
        .then(|| settles_at + TimeDelta::milliseconds(400));
    let twice =
        settlement::announce(&mut tx, &sandbox.faults, &charge, late.unwrap_or(now)).await?;
    tx.commit().await?;
    sandbox.counts.duplicated(u64::from(twice));
    if late.is_some() {
        sandbox.counts.reordered();
    }
    if rejected {
        sandbox.counts.rejected();
    }
    sandbox.work.notify_waiters();
    Ok(Taken::Created(charge))
}

/// More charges of one reference than this are not told.
const MOST: i64 = 100;

/// The charges that their caller calls so, the oldest first.
pub(crate) async fn of_reference(sandbox: &Sandbox, reference: &str) -> Result<Vec<Charge>, Error> {
    sandbox
        .database
        .query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM charges WHERE reference = $1 ORDER BY created_at, id LIMIT $2"
        )))
        .bind(reference)
        .bind(MOST)
        .fetch_all()
        .await
}

pub(crate) async fn find(sandbox: &Sandbox, id: Uuid) -> Result<Option<Charge>, Error> {
    sandbox
        .database
        .query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM charges WHERE id = $1"
        )))
        .bind(id)
        .fetch_optional()
        .await
}
