//! Claiming: leases on the heads of lanes.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::clock::{self, Millis};
use super::desk::Place;
use super::statements::{ADVANCE, LEASE, NEXT_DUE, NEXT_FENCE, READY, TAKE};
use super::writer::{Task, Touched};

/// Messages taken from the log at once when the first look did not find enough.
const STRIDE: usize = 512;
/// How often one transaction takes from the log. A key that waits may have any number of messages in the way.
const STRIDES: usize = 8;

/// Asks for deliveries.
pub(super) struct Claim {
    pub(super) place: Place,
    pub(super) limit: usize,
    pub(super) lease: std::time::Duration,
}

/// Deliveries claimed.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    pub(super) fence: u64,
    /// Sequence and attempt, in the order of the sequence.
    pub(super) deliveries: Vec<(u64, u32)>,
    /// When the next head is due, when fewer were claimed than asked for.
    pub(super) next_due: Option<Millis>,
    /// There may be more right away.
    pub(super) more: bool,
}

#[async_trait]
impl Task for Claim {
    type Output = Claimed;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut Touched,
    ) -> Result<Claimed, sqlx::Error> {
        claim(connection, self, clock::now()).await
    }
}

/// Claims what is ready at the given time.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    claim: &Claim,
    now: Millis,
) -> Result<Claimed, sqlx::Error> {
    let subscription = claim.place.subscription;
    let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
    let mut ready = ready_now(connection, subscription, now, limit).await?;
    let mut exhausted = false;
    let mut strides = 0;
    while ready.len() < claim.limit && !exhausted && strides < STRIDES {
        // What is missing, at first: in the even flow nothing is taken before it can be delivered.
        let stride = if strides == 0 {
            claim.limit - ready.len()
        } else {
            STRIDE
        };
        exhausted = take(connection, claim.place, now, stride).await? < stride as u64;
        strides += 1;
        ready = ready_now(connection, subscription, now, limit).await?;
    }
    let mut claimed = Claimed {
        more: ready.len() < claim.limit && !exhausted,
        ..Claimed::default()
    };
    if !ready.is_empty() {
        let fence: i64 = sqlx::query_scalar(NEXT_FENCE)
            .bind(subscription)
            .fetch_one(&mut *connection)
            .await?;
        let leased: Vec<(i64, i64)> = sqlx::query_as(LEASE)
            .bind(subscription)
            .bind(fence)
            .bind(clock::after(now, claim.lease))
            .bind(serde_json::json!(ready).to_string())
            .fetch_all(&mut *connection)
            .await?;
        claimed.fence = number(fence);
        claimed.deliveries = leased
            .into_iter()
            .map(|(sequence, attempts)| {
                (
                    number(sequence),
                    u32::try_from(attempts).unwrap_or(u32::MAX),
                )
            })
            .collect();
        claimed.deliveries.sort_unstable();
    }
    if claimed.deliveries.len() < claim.limit {
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
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(READY)
        .bind(subscription)
        .bind(now)
        .bind(limit)
        .fetch_all(connection)
        .await
}

async fn take(
    connection: &mut SqliteConnection,
    place: Place,
    now: Millis,
    stride: usize,
) -> Result<u64, sqlx::Error> {
    let taken = sqlx::query(TAKE)
        .bind(place.subscription)
        .bind(now)
        .bind(place.topic)
        .bind(i64::try_from(stride).unwrap_or(i64::MAX))
        .bind(place.ordered)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    if taken > 0 {
        sqlx::query(ADVANCE)
            .bind(place.subscription)
            .execute(connection)
            .await?;
    }
    Ok(taken)
}

/// Sequences and fences count from one; the file's integers are signed, ours are not.
pub(super) fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}
