//! Reading and writing payments.

use chrono::{DateTime, Utc};
use commerce_consumer_framework::storage::{AssertSqlSafe, Database, Error, Transaction};
use uuid::Uuid;

use crate::payment::{Asked, Payment, method_name};
use crate::status::Status;

const COLUMNS: &str = "id, organization_id, order_id, attempt, amount_minor, currency, method, installments, status, \
                       reason, provider_reference, transaction_id, trace_parent, created_at, settled_at";

/// Stores a pending payment, unless it is stored already.
pub(crate) async fn insert(
    tx: &mut Transaction,
    asked: &Asked,
    provider_reference: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let request = &asked.request;
    tx.query(
        "INSERT INTO payments (id, organization_id, order_id, attempt, amount_minor, currency, method, installments,
                               status, provider_reference, transaction_id, trace_parent, created_at, checked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'PENDING', $9, $10, $11, $12, $12)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(asked.id.as_uuid())
    .bind(request.organization_id.as_uuid())
    .bind(request.order_id.as_uuid())
    .bind(request.attempt)
    .bind(request.amount.amount_minor)
    .bind(request.amount.currency.code())
    .bind(method_name(request.method))
    .bind(request.installments)
    .bind(provider_reference)
    .bind(asked.transaction_id.clone())
    .bind(asked.trace_parent.clone())
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Moves a pending payment to its outcome. False when another report was faster.
pub(crate) async fn settle(
    tx: &mut Transaction,
    id: Uuid,
    status: Status,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let changed = tx
        .query("UPDATE payments SET status = $1, reason = $2, settled_at = $3 WHERE id = $4 AND status = 'PENDING'")
        .bind(status.as_str())
        .bind(reason)
        .bind(now)
        .bind(id)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// The payment, as this transaction sees it.
pub(crate) async fn find_in(tx: &mut Transaction, id: Uuid) -> Result<Option<Payment>, Error> {
    tx.query(select("WHERE id = $1"))
        .bind(id)
        .fetch_optional()
        .await
}

/// The payment.
pub(crate) async fn find(database: &Database, id: Uuid) -> Result<Option<Payment>, Error> {
    database
        .query(select("WHERE id = $1"))
        .bind(id)
        .fetch_optional()
        .await
}

/// Which payments to list; what is `None` is not asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) organization_id: Option<Uuid>,
    pub(crate) order_id: Option<Uuid>,
    /// The last one of the page before.
    pub(crate) after: Option<(DateTime<Utc>, Uuid)>,
}

/// The oldest payments first.
pub(crate) async fn list(
    database: &Database,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Payment>, Error> {
    let (created_at, id) = filter.after.unzip();
    database
        .query(select(
            "WHERE ($1 IS NULL OR organization_id = $1)
               AND ($2 IS NULL OR order_id = $2)
               AND ($3 IS NULL OR created_at > $3 OR (created_at = $3 AND id > $4))
             ORDER BY created_at, id LIMIT $5",
        ))
        .bind(filter.organization_id)
        .bind(filter.order_id)
        .bind(created_at)
        .bind(id)
        .bind(limit)
        .fetch_all()
        .await
}

/// Pending payments that nobody has asked the provider about since `before`.
pub(crate) async fn unchecked(
    database: &Database,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Payment>, Error> {
    database
        .query(select(
            "WHERE status = 'PENDING' AND checked_at <= $1 ORDER BY checked_at LIMIT $2",
        ))
        .bind(before)
        .bind(limit)
        .fetch_all()
        .await
}

/// Remembers that the provider was asked.
pub(crate) async fn checked(
    database: &Database,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    database
        .query("UPDATE payments SET checked_at = $1 WHERE id = $2")
        .bind(now)
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// The text is put together from literals only.
fn select(rest: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("SELECT {COLUMNS} FROM payments {rest}"))
}
