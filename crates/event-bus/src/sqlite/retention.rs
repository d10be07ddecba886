//! Retention: what every subscription has settled leaves the log when it is old enough.

use std::sync::Weak;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::time::sleep;

use super::Shared;
use super::clock::{self, Millis};
use super::fault::Fault;
use super::writer::{Task, Touched};

/// Messages looked at in one transaction, so that publishers wait briefly.
const STRIDE: i64 = 1000;

/// Deletes in window after window what may go.
pub(super) const DELETE: &str = "
    DELETE FROM message WHERE sequence IN (
        SELECT m.sequence FROM message AS m
        WHERE m.topic_id = ?1 AND m.sequence > ?2 AND m.sequence <= ?3 AND m.published_at <= ?4
          AND NOT EXISTS (
              SELECT 1 FROM subscription AS s CROSS JOIN delivery AS d
              ON d.subscription_id = s.id AND d.sequence = m.sequence WHERE s.topic_id = ?1)
          AND NOT EXISTS (
              SELECT 1 FROM subscription AS s CROSS JOIN dead_letter AS d
              ON d.subscription_id = s.id AND d.sequence = m.sequence WHERE s.topic_id = ?1))";

/// Trims the log from time to time, as long as anybody uses the bus.
pub(super) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(retain) = shared.upgrade().map(|shared| shared.config.retain) else {
            return;
        };
        sleep((retain / 10).clamp(Duration::from_secs(1), Duration::from_mins(1))).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match trim(&shared).await {
            Ok(0) => {}
            Ok(trimmed) => tracing::debug!(trimmed, "settled messages left the bus file"),
            Err(Fault::Closed) => return,
            Err(fault) => tracing::warn!(error = ?fault, "the bus file was not trimmed"),
        }
    }
}

/// Trims every topic once; gives how many messages went.
pub(super) async fn trim(shared: &Shared) -> Result<u64, Fault> {
    let topics: Vec<i64> = sqlx::query_scalar("SELECT id FROM topic")
        .fetch_all(&shared.readers)
        .await
        .map_err(Fault::not_written)?;
    let mut trimmed = 0;
    for topic in topics {
        let horizon = clock::now().saturating_sub(clock::millis(shared.config.retain));
        let mut after = 0;
        while let Some(last) = after_window(shared, topic, after).await? {
            let window = Trim {
                topic,
                after,
                last,
                horizon,
            };
            let done = shared.work(window).await?;
            trimmed += done.deleted;
            if done.young {
                break;
            }
            after = last;
        }
    }
    Ok(trimmed)
}

/// The last sequence of the next window, if there is one.
async fn after_window(shared: &Shared, topic: i64, after: i64) -> Result<Option<i64>, Fault> {
    sqlx::query_scalar(
        "SELECT max(sequence) FROM (
             SELECT sequence FROM message WHERE topic_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3)",
    )
    .bind(topic)
    .bind(after)
    .bind(STRIDE)
    .fetch_one(&shared.readers)
    .await
    .map_err(Fault::not_written)
}

/// One window of one topic.
struct Trim {
    topic: i64,
    after: i64,
    last: i64,
    horizon: Millis,
}

struct Trimmed {
    deleted: u64,
    /// The window reached what must stay: what a subscription has not taken yet, or what is too young.
    young: bool,
}

#[async_trait]
impl Task for Trim {
    type Output = Trimmed;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut Touched,
    ) -> Result<Trimmed, sqlx::Error> {
        let slowest: Option<i64> =
            sqlx::query_scalar("SELECT min(cursor) FROM subscription WHERE topic_id = ?1")
                .bind(self.topic)
                .fetch_one(&mut *connection)
                .await?;
        let last = slowest.map_or(self.last, |cursor| self.last.min(cursor));
        let deleted = sqlx::query(DELETE)
            .bind(self.topic)
            .bind(self.after)
            .bind(last)
            .bind(self.horizon)
            .execute(&mut *connection)
            .await?
            .rows_affected();
        let newest: Option<Millis> =
            sqlx::query_scalar("SELECT published_at FROM message WHERE sequence = ?1")
                .bind(self.last)
                .fetch_optional(connection)
                .await?;
        let young =
            last < self.last || newest.is_some_and(|published_at| published_at > self.horizon);
        Ok(Trimmed { deleted, young })
    }
}
