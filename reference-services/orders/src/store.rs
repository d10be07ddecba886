//! Orders in the database. Every statement names the organization; only the outcomes of payments come without one.

use chrono::{DateTime, NaiveDate, Utc};
use commerce_consumer_framework::storage::{self, Database, Query, Transaction};
use commerce_contracts::commerce::{Customer, Money, OrderId, OrderItem, OrganizationId};
use serde::Serialize;
use sqlx::types::Json;
use uuid::Uuid;

use crate::order::{Asked, Cause, Change, Order, Payment};
use crate::state::State;

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Storage(#[from] storage::Error),
    #[error("a stored order cannot be read: its {column} is none")]
    Unreadable { column: &'static str },
    #[error("an order cannot be stored")]
    Unwritable(#[from] serde_json::Error),
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT order_id, organization_id, reference, state, attempt, version, customer, items, freight_minor, \
             total_minor, currency, payment, created_at, updated_at FROM orders ",
            $rest
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    order_id: Uuid,
    organization_id: Uuid,
    reference: Option<String>,
    state: String,
    attempt: i64,
    version: i64,
    customer: Json<Customer>,
    items: Json<Vec<OrderItem>>,
    freight_minor: i64,
    total_minor: i64,
    currency: String,
    payment: Option<Json<Payment>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Order {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let currency = row
            .currency
            .parse()
            .map_err(|_| Error::Unreadable { column: "currency" })?;
        Ok(Self {
            order_id: row.order_id.into(),
            organization_id: row.organization_id.into(),
            reference: row.reference,
            customer: row.customer.0,
            items: row.items.0,
            freight: Money::new(row.freight_minor, currency),
            total: Money::new(row.total_minor, currency),
            payment: row.payment.map(|payment| payment.0),
            state: state(&row.state)?,
            attempt: attempt(row.attempt)?,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn state(name: &str) -> Result<State, Error> {
    name.parse()
        .map_err(|_| Error::Unreadable { column: "state" })
}

fn attempt(number: i64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::Unreadable { column: "attempt" })
}

fn json(value: &impl Serialize) -> Result<serde_json::Value, Error> {
    Ok(serde_json::to_value(value)?)
}

/// Stores a new order; false when one of this id or idempotency key exists, and then nothing has changed.
pub(crate) async fn insert(
    tx: &mut Transaction,
    order: &Order,
    asked: &Asked,
) -> Result<bool, Error> {
    let payment = order.payment.as_ref().map(json).transpose()?;
    let inserted = tx
        .query(
            "INSERT INTO orders (order_id, organization_id, reference, state, attempt, version, customer, items, \
             freight_minor, total_minor, currency, payment, created_at, updated_at, idempotency_key, request_digest) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING",
        )
        .bind(order.order_id.as_uuid())
        .bind(order.organization_id.as_uuid())
        .bind(order.reference.as_deref())
        .bind(order.state.as_str())
        .bind(order.attempt)
        .bind(order.version)
        .bind(json(&order.customer)?)
        .bind(json(&order.items)?)
        .bind(order.freight.amount_minor)
        .bind(order.total.amount_minor)
        .bind(order.total.currency.code())
        .bind(payment)
        .bind(order.created_at)
        .bind(order.updated_at)
        .bind(asked.key.as_deref())
        .bind(asked.digest.clone())
        .execute()
        .await?;
    Ok(inserted == 1)
}

/// Stores the next version of an order, if the state and version that it follows are still there; false when somebody
/// else was faster, and then nothing has changed.
pub(crate) async fn advance(
    tx: &mut Transaction,
    seen: &Order,
    next: &Order,
) -> Result<bool, Error> {
    let payment = next.payment.as_ref().map(json).transpose()?;
    let updated = tx
        .query(
            "UPDATE orders SET state = $1, attempt = $2, version = $3, payment = $4, updated_at = $5 \
             WHERE order_id = $6 AND organization_id = $7 AND state = $8 AND version = $9",
        )
        .bind(next.state.as_str())
        .bind(next.attempt)
        .bind(next.version)
        .bind(payment)
        .bind(next.updated_at)
        .bind(seen.order_id.as_uuid())
        .bind(seen.organization_id.as_uuid())
        .bind(seen.state.as_str())
        .bind(seen.version)
        .execute()
        .await?;
    Ok(updated == 1)
}

/// Adds to the history.
pub(crate) async fn record(
    tx: &mut Transaction,
    order_id: OrderId,
    change: &Change,
) -> Result<(), Error> {
    let asked = change.cause.asked.as_ref();
    tx.query(
        "INSERT INTO order_changes (order_id, number, from_state, to_state, attempt, changed_at, cause, transaction_id, \
         reason, idempotency_key, operation, request_digest) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(order_id.as_uuid())
    .bind(change.number)
    .bind(change.from.map(State::as_str))
    .bind(change.to.as_str())
    .bind(change.attempt)
    .bind(change.at)
    .bind(&change.cause.id)
    .bind(change.cause.transaction_id.as_deref())
    .bind(change.cause.reason.as_deref())
    .bind(asked.and_then(|asked| asked.key.as_deref()))
    .bind(asked.map(|asked| asked.operation.as_str()))
    .bind(asked.map(|asked| asked.digest.clone()))
    .execute()
    .await?;
    Ok(())
}

const FIND: &str = select!("WHERE order_id = $1 AND organization_id = $2");

/// An order of this organization.
pub(crate) async fn find(
    database: &Database,
    organization: OrganizationId,
    order: OrderId,
) -> Result<Option<Order>, Error> {
    one(database
        .query(FIND)
        .bind(order.as_uuid())
        .bind(organization.as_uuid()))
    .await
}

/// An order of this organization, as this transaction sees it.
pub(crate) async fn find_in(
    tx: &mut Transaction,
    organization: OrganizationId,
    order: OrderId,
) -> Result<Option<Order>, Error> {
    one(tx
        .query(FIND)
        .bind(order.as_uuid())
        .bind(organization.as_uuid()))
    .await
}

/// An order, whoever it belongs to: for events, which say it themselves.
pub(crate) async fn find_any_in(
    tx: &mut Transaction,
    order: OrderId,
) -> Result<Option<Order>, Error> {
    one(tx
        .query(select!("WHERE order_id = $1"))
        .bind(order.as_uuid()))
    .await
}

async fn one(query: Query<'_>) -> Result<Option<Order>, Error> {
    query
        .fetch_optional::<Row>()
        .await?
        .map(Order::try_from)
        .transpose()
}

/// What a request is to those that were carried out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// None of them had its key or id.
    New,
    /// The same has been carried out.
    Same,
    /// Another one has been carried out under its key or id.
    Other,
}

/// What a request to change an order is to those that have changed it before.
pub(crate) async fn repetition(
    tx: &mut Transaction,
    order: OrderId,
    asked: &Asked,
) -> Result<Repetition, Error> {
    let Some(key) = &asked.key else {
        return Ok(Repetition::New);
    };
    let found: Option<(Option<String>, Option<Vec<u8>>)> = tx
        .query(
            "SELECT operation, request_digest FROM order_changes WHERE order_id = $1 AND idempotency_key = $2",
        )
        .bind(order.as_uuid())
        .bind(key.as_str())
        .fetch_optional()
        .await?;
    Ok(match found {
        None => Repetition::New,
        Some((Some(operation), _)) if operation != asked.operation.as_str() => Repetition::Other,
        Some((_, digest)) => same_or_other(digest, asked),
    })
}

/// An order that stands in the way of a new one.
pub(crate) struct Existing {
    pub(crate) order_id: OrderId,
    pub(crate) repetition: Repetition,
    /// It was created under the key of the new one; else it has the id.
    pub(crate) by_key: bool,
}

/// The order of this organization that a new one repeats, by its key or else by its id.
pub(crate) async fn existing(
    database: &Database,
    organization: OrganizationId,
    order: OrderId,
    asked: &Asked,
) -> Result<Option<Existing>, Error> {
    // The order of the key goes first: it is what the caller meant by sending the key again.
    let found: Option<(Uuid, Option<String>, Option<Vec<u8>>)> = database
        .query(
            "SELECT order_id, idempotency_key, request_digest FROM orders \
             WHERE organization_id = $1 AND (order_id = $2 OR idempotency_key = $3) \
             ORDER BY CASE WHEN idempotency_key = $3 THEN 0 ELSE 1 END LIMIT 1",
        )
        .bind(organization.as_uuid())
        .bind(order.as_uuid())
        .bind(asked.key.as_deref())
        .fetch_optional()
        .await?;
    Ok(found.map(|(order_id, key, digest)| Existing {
        order_id: order_id.into(),
        repetition: same_or_other(digest, asked),
        by_key: key.is_some() && key == asked.key,
    }))
}

/// A request from before digests were kept counts as the same: so it was answered then.
fn same_or_other(digest: Option<Vec<u8>>, asked: &Asked) -> Repetition {
    if digest.is_none_or(|digest| digest == asked.digest) {
        Repetition::Same
    } else {
        Repetition::Other
    }
}

/// The place of an order in the list: the list goes on after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) order_id: Uuid,
}

impl Position {
    /// Before the first, that is after everything that will ever be created.
    fn start() -> Self {
        let last_day = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or_default();
        Self {
            created_at: last_day.and_time(chrono::NaiveTime::MIN).and_utc(),
            order_id: Uuid::max(),
        }
    }
}

/// Orders of an organization, the newest first.
pub(crate) async fn list(
    database: &Database,
    organization: OrganizationId,
    state: Option<State>,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Order>, Error> {
    let after = after.unwrap_or_else(Position::start);
    let query = match state {
        None => database.query(select!(
            "WHERE organization_id = $1 AND (created_at, order_id) < ($2, $3) \
             ORDER BY created_at DESC, order_id DESC LIMIT $4"
        )),
        Some(_) => database.query(select!(
            "WHERE organization_id = $1 AND (created_at, order_id) < ($2, $3) AND state = $5 \
             ORDER BY created_at DESC, order_id DESC LIMIT $4"
        )),
    };
    let mut query = query
        .bind(organization.as_uuid())
        .bind(after.created_at)
        .bind(after.order_id)
        .bind(limit);
    if let Some(state) = state {
        query = query.bind(state.as_str());
    }
    query
        .fetch_all::<Row>()
        .await?
        .into_iter()
        .map(Order::try_from)
        .collect()
}

#[derive(sqlx::FromRow)]
struct ChangeRow {
    number: i64,
    from_state: Option<String>,
    to_state: String,
    attempt: i64,
    changed_at: DateTime<Utc>,
    cause: String,
    transaction_id: Option<String>,
    reason: Option<String>,
}

/// What happened to an order, the oldest first.
pub(crate) async fn history(
    database: &Database,
    order: OrderId,
    limit: i64,
) -> Result<Vec<Change>, Error> {
    let rows: Vec<ChangeRow> = database
        .query(
            "SELECT number, from_state, to_state, attempt, changed_at, cause, transaction_id, reason \
             FROM order_changes WHERE order_id = $1 ORDER BY number LIMIT $2",
        )
        .bind(order.as_uuid())
        .bind(limit)
        .fetch_all()
        .await?;
    let changes = rows.into_iter().map(|row| {
        Ok(Change {
            number: row.number,
            from: row.from_state.as_deref().map(state).transpose()?,
            to: state(&row.to_state)?,
            attempt: attempt(row.attempt)?,
            at: row.changed_at,
            cause: Cause {
                id: row.cause,
                transaction_id: row.transaction_id,
                reason: row.reason,
                asked: None,
            },
        })
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    use super::{Repetition, same_or_other};
    use crate::order::{Asked, Operation};

    #[test]
    fn orders_from_before_digests_were_kept_are_repeated_as_ever() {
        let asked = Asked::new(Operation::Create, &"an order", None).unwrap();
        let other = Asked::new(Operation::Create, &"another", None).unwrap();
        assert_eq!(same_or_other(None, &asked), Repetition::Same);
        assert_eq!(
            same_or_other(Some(asked.digest.clone()), &asked),
            Repetition::Same
        );
        assert_eq!(same_or_other(Some(other.digest), &asked), Repetition::Other);
    }
}
