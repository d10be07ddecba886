//! Dead letters: read, give back, forget.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::clock::{self, Millis};
use super::codec::decode;
use super::desk::Place;
use super::settle::promote;
use super::writer::{Task, Touched};
use super::{Shared, fault};
use crate::dead_letter::DeadLetter;
use crate::error::Error;
use crate::name::{SubscriptionName, TopicName};

#[derive(sqlx::FromRow)]
struct Letter {
    sequence: i64,
    attempts: i64,
    reason: String,
    rejected_at: i64,
    headers: String,
    content_type: Option<String>,
    data: Option<Vec<u8>>,
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
        "SELECT sequence, attempts, reason, rejected_at, headers, content_type, data
         FROM dead_letter JOIN message USING (sequence)
         WHERE subscription_id = ?1 ORDER BY sequence LIMIT ?2",
    )
    .bind(place.subscription)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&shared.readers)
    .await
    .map_err(|source| fault::error("dead_letters", source))?;
    let letters = letters.into_iter().map(|letter| {
        DeadLetter::new(
            topic.clone(),
            name.clone(),
            decode(topic, (letter.headers, letter.content_type, letter.data)),
            letter.sequence.to_string(),
        )
        .with_attempts(u32::try_from(letter.attempts).unwrap_or(u32::MAX))
        .with_reasons(vec![letter.reason])
        .with_times(
            clock::time(letter.rejected_at),
            clock::time(letter.rejected_at),
        )
    });
    Ok(letters.collect())
}

/// Gives the oldest dead letters to the subscription again, before everything of their key that still waits.
pub(super) struct Redrive {
    pub(super) place: Place,
    pub(super) limit: usize,
}

#[async_trait]
impl Task for Redrive {
    type Output = u64;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        touched: &mut Touched,
    ) -> Result<u64, sqlx::Error> {
        touched.subscriptions.insert(self.place.subscription);
        redrive(connection, self, clock::now()).await
    }
}

pub(super) async fn redrive(
    connection: &mut SqliteConnection,
    redrive: &Redrive,
    now: Millis,
) -> Result<u64, sqlx::Error> {
    let subscription = redrive.place.subscription;
    let sequences: Vec<i64> = sqlx::query_scalar(UNBURY)
        .bind(subscription)
        .bind(i64::try_from(redrive.limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    let lanes: Vec<(Option<String>,)> = sqlx::query_as(RETURN)
        .bind(subscription)
        .bind(redrive.place.ordered)
        .bind(now)
        .bind(serde_json::json!(sequences).to_string())
        .fetch_all(&mut *connection)
        .await?;
    let lanes: BTreeSet<&str> = lanes.iter().filter_map(|(lane,)| lane.as_deref()).collect();
    let freed = free_lanes(connection, subscription, &lanes).await?;
    let freed = freed.iter().map(String::as_str).collect();
    promote(connection, &HashMap::from([(subscription, freed)])).await?;
    Ok(sequences.len() as u64)
}

/// 1: subscription, 2: how many.
const UNBURY: &str = "
    DELETE FROM dead_letter WHERE subscription_id = ?1 AND sequence IN (
        SELECT sequence FROM dead_letter WHERE subscription_id = ?1 ORDER BY sequence LIMIT ?2)
    RETURNING sequence";

/// 1: subscription, 2: whether it is ordered, 3: now, 4: sequences as JSON.
const RETURN: &str = "
    INSERT INTO delivery (subscription_id, sequence, lane, head, due)
    SELECT ?1, sequence, CASE WHEN ?2 THEN message_key END, NOT ?2 OR message_key IS NULL, ?3
    FROM message WHERE sequence IN (SELECT value FROM json_each(?4))
    RETURNING lane";

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
        _: &mut Touched,
    ) -> Result<u64, sqlx::Error> {
        sqlx::query("DELETE FROM dead_letter WHERE subscription_id = ?1")
            .bind(self.place.subscription)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
    }
}
