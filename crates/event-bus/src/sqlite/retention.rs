//! Retention: what every subscription has settled leaves the log when it is old enough, or when the file is too large.

use std::sync::Weak;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::time::sleep;

use super::Shared;
use super::clock::{self, Millis, Now};
use super::config::Config;
use super::fault::Fault;
use super::writer::{Task, Touched};

/// Messages looked at in one transaction, so that publishers wait briefly.
const STRIDE: i64 = 1000;

/// What holds of a message `m` that no subscription of its topic has taken and not settled, or keeps as a dead letter.
macro_rules! not_taken {
    () => {
        "NOT EXISTS (
              SELECT 1 FROM subscription AS s CROSS JOIN delivery AS d
              ON d.subscription_id = s.id AND d.sequence = m.sequence WHERE s.topic_id = m.topic_id)
          AND NOT EXISTS (
              SELECT 1 FROM subscription AS s CROSS JOIN dead_letter AS d
              ON d.subscription_id = s.id AND d.sequence = m.sequence WHERE s.topic_id = m.topic_id)"
    };
}

/// What holds of a message `m` that every subscription has settled.
macro_rules! settled {
    () => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM subscription AS s WHERE s.topic_id = m.topic_id AND s.cursor < m.sequence)
          AND ",
            not_taken!()
        )
    };
}

/// Deletes in window after window what may go.
/// 1: topic, 2: after which, 3: up to which, which every subscription has taken, 4: published when at the latest.
pub(super) const DELETE: &str = concat!(
    "
    DELETE FROM message WHERE sequence IN (
        SELECT m.sequence FROM message AS m
        WHERE m.topic_id = ?1 AND m.sequence > ?2 AND m.sequence <= ?3 AND m.published_at <= ?4
          AND ",
    not_taken!(),
    ")"
);

/// What every subscription has settled, the oldest first, as far as it takes to free so many bytes.
/// 1: after which, 2: how many at most, 3: bytes.
pub(super) const OLDEST_SETTLED: &str = concat!(
    "
    SELECT sequence FROM (
        SELECT sequence, size, sum(size) OVER (ORDER BY sequence) AS freed FROM (
            SELECT m.sequence,
                   octet_length(m.attributes) + coalesce(octet_length(m.data), 0) + coalesce(octet_length(m.headers), 0)
                       AS size
            FROM message AS m
            WHERE m.sequence > ?1 AND ",
    settled!(),
    " ORDER BY m.sequence LIMIT ?2))
    WHERE freed - size < ?3 ORDER BY sequence"
);

/// Deletes what is still settled by every subscription: one may have been made since the look.
/// 1: sequences as JSON.
pub(super) const DELETE_SETTLED: &str = concat!(
    "
    DELETE FROM message WHERE sequence IN (
        SELECT m.sequence FROM json_each(?1) AS j CROSS JOIN message AS m ON m.sequence = j.value
        WHERE ",
    settled!(),
    ")"
);

/// Bytes of the file that hold something.
pub(super) const USED: &str = "
    SELECT (page_count - freelist_count) * page_size
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size";

/// Trims the log from time to time, as long as anybody uses the bus.
pub(super) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(pause) = shared.upgrade().map(|shared| pause(&shared.config)) else {
            return;
        };
        sleep(pause).await;
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

fn pause(config: &Config) -> Duration {
    let longest = match config.retain_bytes {
        // A file grows faster than it ages.
        Some(_) => Duration::from_secs(5),
        None => Duration::from_mins(1),
    };
    (config.retain / 10).clamp(Duration::from_secs(1), longest)
}

/// Trims the log once; gives how many messages went.
pub(super) async fn trim(shared: &Shared) -> Result<u64, Fault> {
    let mut trimmed = trim_by_age(shared).await?;
    if let Some(most) = shared.config.retain_bytes {
        trimmed += trim_by_size(shared, most).await?;
    }
    Ok(trimmed)
}

async fn trim_by_size(shared: &Shared, most: u64) -> Result<u64, Fault> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut trimmed = 0;
    let mut after = 0;
    loop {
        let used: i64 = sqlx::query_scalar(USED)
            .fetch_one(&shared.readers)
            .await
            .map_err(Fault::not_written)?;
        if used <= most {
            return Ok(trimmed);
        }
        let settled: Vec<i64> = sqlx::query_scalar(OLDEST_SETTLED)
            .bind(after)
            .bind(STRIDE)
            .bind(used - most)
            .fetch_all(&shared.readers)
            .await
            .map_err(Fault::not_written)?;
        let Some(last) = settled.last() else {
            tracing::debug!(
                used,
                most,
                "the bus file is larger than retain_bytes: the rest is not settled"
            );
            return Ok(trimmed);
        };
        after = *last;
        trimmed += shared.work(Forget { settled }).await?;
    }
}

async fn trim_by_age(shared: &Shared) -> Result<u64, Fault> {
    let topics: Vec<i64> = sqlx::query_scalar("SELECT id FROM topic")
        .fetch_all(&shared.readers)
        .await
        .map_err(Fault::not_written)?;
    let mut trimmed = 0;
    for topic in topics {
        let horizon = shared
            .clock
            .wall()
            .saturating_sub(clock::millis(shared.config.retain));
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
        _: Now,
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

/// Messages that everybody had settled at a look.
struct Forget {
    settled: Vec<i64>,
}

#[async_trait]
impl Task for Forget {
    type Output = u64;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: Now,
        _: &mut Touched,
    ) -> Result<u64, sqlx::Error> {
        sqlx::query(DELETE_SETTLED)
            .bind(serde_json::json!(self.settled).to_string())
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
    }
}
