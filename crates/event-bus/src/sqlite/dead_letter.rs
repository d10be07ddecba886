//! Dead letters: read, give back, forget.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::clock::{self, Millis, Now};
use super::codec::{Stored, decode, wants};
use super::desk::Place;
use super::settle::promote;
use super::writer::{Task, Touched};
use super::{Shared, fault};
use crate::dead_letter::DeadLetter;
use crate::error::Error;
use crate::filter::Filter;
use crate::name::{SubscriptionName, TopicName};

/// Dead letters that one transaction gives back or looks at, at most.
const STRIDE: usize = 1000;

#[derive(sqlx::FromRow)]
struct Letter {
    sequence: i64,
    attempts: i64,
    reasons: String,
    rejected_at: Millis,
    first_failed_at: Option<Millis>,
    #[sqlx(flatten)]
    stored: Stored,
}

/// The oldest dead letters.
pub(super) async fn list(
    shared: &Shared,
    place: Place,
    topic: &TopicName,
    name: &SubscriptionName,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    // Retention keeps the message of a dead letter.
    let letters: Vec<Letter> = sqlx::query_as(
        "SELECT sequence, attempts, reasons, rejected_at, first_failed_at,
                message_key, attributes, content_type, data, headers
         FROM dead_letter JOIN message USING (sequence)
         WHERE subscription_id = ?1 ORDER BY sequence LIMIT ?2",
    )
    .bind(place.subscription)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&shared.readers)
    .await
    .map_err(|source| fault::error("dead_letters", source))?;
    let letters = letters.into_iter().map(|letter| {
        let rejected_at = clock::time(letter.rejected_at);
        let first_failed_at = letter.first_failed_at.map_or(rejected_at, clock::time);
        DeadLetter::new(
            topic.clone(),
            name.clone(),
            decode(topic, letter.stored),
            letter.sequence.to_string(),
        )
        .with_attempts(u32::try_from(letter.attempts).unwrap_or(u32::MAX))
        .with_reasons(reasons(letter.reasons))
        .with_times(first_failed_at, rejected_at)
    });
    Ok(letters.collect())
}

/// Reasons as they are stored; a text that is no list is one reason.
fn reasons(stored: String) -> Vec<String> {
    serde_json::from_str(&stored).unwrap_or_else(|_| vec![stored])
}

/// Gives the oldest dead letters that the filter wants to the subscription again, before everything of their key that
/// still waits; so many in one transaction that others wait briefly.
pub(super) async fn redrive_all(
    shared: &Shared,
    place: Place,
    limit: usize,
    filter: &Filter,
) -> Result<u64, Error> {
    let mut after = 0;
    let mut total = 0;
    while total < limit {
        let step = Redrive {
            place,
            after,
            limit: limit - total,
            filter: filter.clone(),
        };
        let redriven = shared.work(step).await;
        let redriven = redriven.map_err(|fault| fault.into_error("redrive"))?;
        total += redriven.count;
        match redriven.next {
            Some(next) => after = next,
            None => break,
        }
    }
    Ok(total as u64)
}

/// One step of a redrive.
pub(super) struct Redrive {
    pub(super) place: Place,
    /// Older ones were looked at before.
    pub(super) after: i64,
    pub(super) limit: usize,
    pub(super) filter: Filter,
}

/// What one step of a redrive did.
pub(super) struct Redriven {
    pub(super) count: usize,
    /// Where the next step begins, when there may be more.
    pub(super) next: Option<i64>,
}

#[async_trait]
impl Task for Redrive {
    type Output = Redriven;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        now: Now,
        touched: &mut Touched,
    ) -> Result<Redriven, sqlx::Error> {
        touched.subscriptions.insert(self.place.subscription);
        redrive(connection, self, now.steady).await
    }
}

pub(super) async fn redrive(
    connection: &mut SqliteConnection,
    redrive: &Redrive,
    now: Millis,
) -> Result<Redriven, sqlx::Error> {
    let subscription = redrive.place.subscription;
    let letters: Vec<(i64, String, Option<String>)> = sqlx::query_as(OLDEST)
        .bind(subscription)
        .bind(redrive.after)
        .bind(i64::try_from(STRIDE).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    let wanted: Vec<i64> = letters
        .iter()
        .filter(|(_, attributes, content_type)| {
            wants(&redrive.filter, attributes, content_type.as_deref())
        })
        .map(|(sequence, ..)| *sequence)
        .take(redrive.limit)
        .collect();
    if !wanted.is_empty() {
        give_again(connection, redrive.place, &wanted, now).await?;
    }
    let full = letters.len() == STRIDE;
    Ok(Redriven {
        count: wanted.len(),
        next: letters.last().map(|(last, ..)| *last).filter(|_| full),
    })
}

async fn give_again(
    connection: &mut SqliteConnection,
    place: Place,
    sequences: &[i64],
    now: Millis,
) -> Result<(), sqlx::Error> {
    let subscription = place.subscription;
    let sequences = serde_json::json!(sequences).to_string();
    let lanes: Vec<(Option<String>,)> = sqlx::query_as(RETURN)
        .bind(subscription)
        .bind(place.ordered)
        .bind(now)
        .bind(&sequences)
        .fetch_all(&mut *connection)
        .await?;
    sqlx::query(UNBURY)
        .bind(subscription)
        .bind(&sequences)
        .execute(&mut *connection)
        .await?;
    let lanes: BTreeSet<&str> = lanes.iter().filter_map(|(lane,)| lane.as_deref()).collect();
    let freed = free_lanes(connection, subscription, &lanes).await?;
    let freed = freed.iter().map(String::as_str).collect();
    promote(connection, &HashMap::from([(subscription, freed)])).await
}

/// 1: subscription, 2: after which, 3: how many.
pub(super) const OLDEST: &str = "
    SELECT sequence, attributes, content_type FROM dead_letter JOIN message USING (sequence)
    WHERE subscription_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";

/// Attempts begin again; what is known of the earlier ones stays.
/// 1: subscription, 2: whether it is ordered, 3: now by the file's clock, 4: sequences as JSON.
pub(super) const RETURN: &str = "
    INSERT INTO delivery (subscription_id, sequence, lane, head, ready_at, first_seen_at, first_failed_at, reasons)
    SELECT ?1, d.sequence, CASE WHEN ?2 THEN m.message_key END, NOT ?2 OR m.message_key IS NULL, ?3,
           d.first_seen_at, d.first_failed_at, d.reasons
    FROM dead_letter AS d JOIN message AS m USING (sequence)
    WHERE d.subscription_id = ?1 AND d.sequence IN (SELECT value FROM json_each(?4))
    RETURNING lane";

/// 1: subscription, 2: sequences as JSON.
pub(super) const UNBURY: &str = "
    DELETE FROM dead_letter
    WHERE subscription_id = ?1 AND sequence IN (SELECT value FROM json_each(?2))";

/// Takes the head from each lane unless it is in flight; gives the lanes that have none now.
async fn free_lanes(
    connection: &mut SqliteConnection,
    subscription: i64,
    lanes: &BTreeSet<&str>,
) -> Result<Vec<String>, sqlx::Error> {
    let lanes = serde_json::json!(lanes).to_string();
    sqlx::query(
        "UPDATE delivery SET head = 0
         WHERE subscription_id = ?1 AND lane IN (SELECT value FROM json_each(?2)) AND head = 1 AND fence = 0",
    )
    .bind(subscription)
    .bind(&lanes)
    .execute(&mut *connection)
    .await?;
    sqlx::query_scalar(
        "SELECT value FROM json_each(?2) AS wanted
         WHERE NOT EXISTS (SELECT 1 FROM delivery
                           WHERE subscription_id = ?1 AND lane = wanted.value AND head = 1)",
    )
    .bind(subscription)
    .bind(&lanes)
    .fetch_all(connection)
    .await
}

/// Forgets the dead letters.
pub(super) struct Purge {
    pub(super) place: Place,
}

#[async_trait]
impl Task for Purge {
    type Output = u64;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: Now,
        _: &mut Touched,
    ) -> Result<u64, sqlx::Error> {
        sqlx::query("DELETE FROM dead_letter WHERE subscription_id = ?1")
            .bind(self.place.subscription)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
    }
}
