//! What customers were told, in the database.

use chrono::{DateTime, Utc};
use commerce_consumer_framework::storage::{Database, Error, Migration, Query, Transaction, Value};
use commerce_contracts::commerce::NotificationId;
use sqlx::FromRow;
use uuid::Uuid;

use crate::notice::{self, Notice};

pub(crate) const MIGRATIONS: &[Migration] = &[Migration::new(
    1,
    include_str!("../migrations/1_notifications.sql"),
)];

/// One row.
#[derive(Clone, Debug, FromRow)]
#[expect(clippy::struct_field_names, reason = "the columns' names")]
pub(crate) struct Notification {
    pub(crate) notification_id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) customer_id: Uuid,
    pub(crate) outcome: String,
    pub(crate) attempt: i64,
    pub(crate) channel: String,
    pub(crate) notified_at: DateTime<Utc>,
}

/// Where a page ends: newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) notified_at: DateTime<Utc>,
    pub(crate) notification_id: Uuid,
}

/// Which notifications are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    /// Only this organization's; `None` for those who may see all.
    pub(crate) organization_id: Option<Uuid>,
    pub(crate) order_id: Option<Uuid>,
    pub(crate) after: Option<Position>,
    pub(crate) limit: i64,
}

const COLUMNS: &str = "notification_id, organization_id, order_id, customer_id, outcome, attempt, channel, notified_at";

/// Records a notice; false when it was recorded before.
pub(crate) async fn record(
    tx: &mut Transaction,
    notice: &Notice,
    notified_at: DateTime<Utc>,
) -> Result<bool, Error> {
    let rows = tx
        .query(
            "INSERT INTO notifications
                (notification_id, organization_id, order_id, customer_id, outcome, attempt, channel, notified_at)
             VALUES ($1, $2, $3, $4, $5, $6, 'email', $7)
             ON CONFLICT (order_id, outcome, attempt) DO NOTHING",
        )
        .bind(notice.id().as_uuid())
        .bind(notice.organization_id.as_uuid())
        .bind(notice.order_id.as_uuid())
        .bind(notice.customer.customer_id.as_uuid())
        .bind(notice::name(notice.outcome))
        .bind(notice.attempt)
        .bind(notified_at)
        .execute()
        .await?;
    Ok(rows == 1)
}

/// Whether it has been recorded already.
pub(crate) async fn is_recorded(database: &Database, id: NotificationId) -> Result<bool, Error> {
    let row: Option<(i64,)> = database
        .query("SELECT attempt FROM notifications WHERE notification_id = $1")
        .bind(id.as_uuid())
        .fetch_optional()
        .await?;
    Ok(row.is_some())
}

/// One notification, if there is one and this organization may see it.
pub(crate) async fn find(
    database: &Database,
    id: Uuid,
    organization_id: Option<Uuid>,
) -> Result<Option<Notification>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM notifications WHERE notification_id = $1");
    let row: Option<Notification> = database
        .query(sqlx::AssertSqlSafe(sql))
        .bind(id)
        .fetch_optional()
        .await?;
    Ok(row.filter(|row| organization_id.is_none_or(|own| own == row.organization_id)))
}

/// A page, newest first.
pub(crate) async fn list(database: &Database, filter: Filter) -> Result<Vec<Notification>, Error> {
    let mut conditions = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    if let Some(organization_id) = filter.organization_id {
        values.push(organization_id.into());
        conditions.push(format!("organization_id = ${}", values.len()));
    }
    if let Some(order_id) = filter.order_id {
        values.push(order_id.into());
        conditions.push(format!("order_id = ${}", values.len()));
    }
    if let Some(after) = filter.after {
        values.push(after.notified_at.into());
        values.push(after.notification_id.into());
        conditions.push(format!(
            "(notified_at, notification_id) < (${}, ${})",
            values.len() - 1,
            values.len()
        ));
    }
    values.push(filter.limit.into());
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.join(" AND "))
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM notifications {conditions}
         ORDER BY notified_at DESC, notification_id DESC LIMIT ${}",
        values.len()
    );
    // Every part of the text is written above; what comes from outside is bound.
    let query = values
        .into_iter()
        .fold(database.query(sqlx::AssertSqlSafe(sql)), Query::bind);
    query.fetch_all().await
}
