//! Claiming: leases on the heads of lanes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::clock::{self, Millis, Now};
use super::codec::wants;
use super::desk::{Place, Room};
use super::statements::{
    ADVANCE, CURSOR, LEASE, LOOK, NEXT_DUE, NEXT_FENCE, READY, TAKE, TAKE_WANTED,
};
use super::writer::{Task, Touched};
use crate::filter::Filter;

/// Messages looked at in the log at once when the first look did not find enough.
const STRIDE: usize = 512;
/// How often one transaction looks at the log. A key that waits may have any number of messages in the way, and so may a
/// filter.
const STRIDES: usize = 8;

/// Asks for deliveries.
pub(super) struct Claim {
    pub(super) place: Place,
    pub(super) room: Room,
    pub(super) lease: Duration,
    pub(super) filter: Arc<Filter>,
}

/// Deliveries claimed.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    pub(super) fence: u64,
    /// In the order of the sequence.
    pub(super) deliveries: Vec<Leased>,
    /// When the next head is due, when fewer were claimed than asked for.
    pub(super) next_due: Option<Millis>,
    /// There may be more right away.
    pub(super) more: bool,
    /// There is no such subscription any more.
    pub(super) gone: bool,
}

/// One delivery claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leased {
    pub(super) sequence: u64,
    pub(super) attempt: u32,
    pub(super) first_seen_at: Millis,
    /// Bytes of its message.
    pub(super) size: usize,
}

#[async_trait]
impl Task for Claim {
    type Output = Claimed;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        now: Now,
        _: &mut Touched,
    ) -> Result<Claimed, sqlx::Error> {
        claim(connection, self, now).await
    }
}

/// Claims what is ready at the given time.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    claim: &Claim,
    now: Now,
) -> Result<Claimed, sqlx::Error> {
    let subscription = claim.place.subscription;
    let cursor: Option<i64> = sqlx::query_scalar(CURSOR)
        .bind(subscription)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(mut cursor) = cursor else {
        return Ok(Claimed {
            gone: true,
            ..Claimed::default()
        });
    };
    let limit = claim.room.count;
    let mut ready = ready_now(connection, subscription, now.steady, limit).await?;
    let mut exhausted = false;
    let mut strides = 0;
    while ready.len() < limit && !exhausted && strides < STRIDES {
        // What is missing, at first: in the even flow nothing is taken before it can be delivered.
        let stride = if strides == 0 && claim.filter.is_empty() {
            limit - ready.len()
        } else {
            STRIDE
        };
        exhausted = take(connection, claim, &mut cursor, now.steady, stride).await? < stride;
        strides += 1;
        ready = ready_now(connection, subscription, now.steady, limit).await?;
    }
    let mut claimed = Claimed {
        more: ready.len() < limit && !exhausted,
        ..Claimed::default()
    };
    let fitting = claim.room.fitting(ready.iter().map(|(_, size)| *size));
    ready.truncate(fitting);
    if !ready.is_empty() {
        lease(connection, claim, &ready, now, &mut claimed).await?;
    }
    if claimed.deliveries.len() < limit {
        claimed.next_due = sqlx::query_scalar(NEXT_DUE)
            .bind(subscription)
            .fetch_one(connection)
            .await?;
    }
    Ok(claimed)
}

async fn ready_now(
    connection: &mut SqliteConnection,
    subscription: i64,
    now: Millis,
    limit: usize,
) -> Result<Vec<(i64, usize)>, sqlx::Error> {
    let ready: Vec<(i64, i64)> = sqlx::query_as(READY)
        .bind(subscription)
        .bind(now)
        .bind(integer(limit))
        .fetch_all(connection)
        .await?;
    let sized = |(sequence, size)| (sequence, usize::try_from(size).unwrap_or(usize::MAX));
    Ok(ready.into_iter().map(sized).collect())
}

/// Takes what is wanted of the next messages in the log; gives how many were looked at.
async fn take(
    connection: &mut SqliteConnection,
    claim: &Claim,
    cursor: &mut i64,
    now: Millis,
    stride: usize,
) -> Result<usize, sqlx::Error> {
    let Place {
        topic,
        subscription,
        ordered,
    } = claim.place;
    let (looked_at, last) = if claim.filter.is_empty() {
        let taken: Vec<i64> = sqlx::query_scalar(TAKE)
            .bind(subscription)
            .bind(now)
            .bind(ordered)
            .bind(topic)
            .bind(*cursor)
            .bind(integer(stride))
            .fetch_all(&mut *connection)
            .await?;
        (taken.len(), taken.into_iter().max())
    } else {
        let next: Vec<(i64, String, Option<String>)> = sqlx::query_as(LOOK)
            .bind(topic)
            .bind(*cursor)
            .bind(integer(stride))
            .fetch_all(&mut *connection)
            .await?;
        let wanted: Vec<i64> = next
            .iter()
            .filter(|(_, attributes, content_type)| {
                wants(&claim.filter, attributes, content_type.as_deref())
            })
            .map(|(sequence, ..)| *sequence)
            .collect();
        if !wanted.is_empty() {
            sqlx::query(TAKE_WANTED)
                .bind(subscription)
                .bind(now)
                .bind(ordered)
                .bind(serde_json::json!(wanted).to_string())
                .execute(&mut *connection)
                .await?;
        }
        (next.len(), next.last().map(|(sequence, ..)| *sequence))
    };
    if let Some(last) = last {
        *cursor = last;
        sqlx::query(ADVANCE)
            .bind(subscription)
            .bind(last)
            .execute(connection)
            .await?;
    }
    Ok(looked_at)
}

async fn lease(
    connection: &mut SqliteConnection,
    claim: &Claim,
    ready: &[(i64, usize)],
    now: Now,
    claimed: &mut Claimed,
) -> Result<(), sqlx::Error> {
    let subscription = claim.place.subscription;
    let fence: i64 = sqlx::query_scalar(NEXT_FENCE)
        .bind(subscription)
        .fetch_one(&mut *connection)
        .await?;
    let sequences: Vec<i64> = ready.iter().map(|(sequence, _)| *sequence).collect();
    let leased: Vec<(i64, i64, Millis)> = sqlx::query_as(LEASE)
        .bind(subscription)
        .bind(fence)
        .bind(clock::after(now.steady, claim.lease))
        .bind(serde_json::json!(sequences).to_string())
        .bind(now.wall)
        .bind(now.steady)
        .fetch_all(connection)
        .await?;
    let size_of = |sequence| {
        let found = ready.iter().find(|(ready, _)| *ready == sequence);
        found.map_or(0, |(_, size)| *size)
    };
    claimed.fence = number(fence);
    claimed.deliveries = leased
        .into_iter()
        .map(|(sequence, attempts, first_seen_at)| Leased {
            sequence: number(sequence),
            attempt: u32::try_from(attempts).unwrap_or(u32::MAX),
            first_seen_at,
            size: size_of(sequence),
        })
        .collect();
    claimed.deliveries.sort_unstable();
    Ok(())
}

/// Sequences and fences count from one; the file's integers are signed, ours are not.
pub(super) fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

fn integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
