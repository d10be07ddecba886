//! What was charged, by reference: where a double charge would show.

use commerce_consumer_framework::storage::Error;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Sandbox;

/// Entries on one page.
pub(crate) const PAGE: usize = 500;

/// One reference.
#[derive(Clone, Debug, Serialize, sqlx::FromRow, ToSchema)]
pub(crate) struct Entry {
    pub(crate) reference: String,
    /// How many charges carry it.
    pub(crate) charges: i64,
    /// How many of them were confirmed.
    pub(crate) confirmed: i64,
    /// Sum of the confirmed ones.
    pub(crate) confirmed_minor: i64,
}

/// A page of the ledger, after the reference `cursor`.
pub(crate) async fn page(sandbox: &Sandbox, cursor: &str) -> Result<Vec<Entry>, Error> {
    sandbox
        .database
        .query(
            "SELECT reference,
                    COUNT(*) AS charges,
                    CAST(SUM(CASE WHEN status = 'confirmed' THEN 1 ELSE 0 END) AS BIGINT) AS confirmed,
                    CAST(SUM(CASE WHEN status = 'confirmed' THEN amount_minor ELSE 0 END) AS BIGINT) AS confirmed_minor
             FROM charges WHERE reference > $1 GROUP BY reference ORDER BY reference LIMIT 500",
        )
        .bind(cursor)
        .fetch_all()
        .await
}
