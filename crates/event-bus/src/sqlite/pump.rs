//! Keeps a desk supplied: claims when there is room and something to claim, and sleeps when there is not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Shared;
use super::claim::{Claim, Claimed, number};
use super::clock::{self, Millis};
use super::codec::{Stored, decode};
use super::desk::Desk;
use super::fault::{self, Fault};
use super::settle::Verdict;
use super::statements::{ANYTHING, BODIES};
use crate::backend::{Incoming, Receipt};
use crate::error::Error;
use crate::message::Undecodable;
use crate::name::TopicName;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Supplies the desk until it is closed.
pub(super) async fn run(shared: Arc<Shared>, desk: Arc<Desk>, topic: TopicName) {
    let mut pause = FIRST_PAUSE;
    while let Some(room) = desk.room() {
        if room == 0 {
            desk.wake.notified().await;
            continue;
        }
        match supply(&shared, &desk, &topic, room).await {
            Ok(Supplied { more: true, .. }) => pause = FIRST_PAUSE,
            Ok(Supplied { next_due, .. }) => {
                pause = FIRST_PAUSE;
                rest(&shared, &desk, next_due).await;
            }
            Err(error) => {
                if shared.is_closed() {
                    return;
                }
                desk.report(error);
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

struct Supplied {
    more: bool,
    next_due: Option<Millis>,
}

async fn supply(
    shared: &Shared,
    desk: &Desk,
    topic: &TopicName,
    room: usize,
) -> Result<Supplied, Error> {
    let claim = Claim {
        place: desk.place,
        limit: room,
        lease: desk.lease,
    };
    let claimed = shared
        .work(claim)
        .await
        .map_err(|fault| fault.into_error("receive"))?;
    let (more, next_due) = (claimed.more, claimed.next_due);
    if !claimed.deliveries.is_empty() {
        let receipts: Vec<Receipt> = claimed
            .deliveries
            .iter()
            .map(|(sequence, _)| Receipt::new(*sequence, claimed.fence))
            .collect();
        let refused = match bodies(shared, topic, claimed).await {
            Ok(deliveries) => desk.put(deliveries),
            Err(error) => {
                shared.give_back(desk, receipts, || Verdict::Untouched);
                return Err(error);
            }
        };
        shared.give_back(desk, refused, || Verdict::Untouched);
    }
    Ok(Supplied { more, next_due })
}

#[derive(sqlx::FromRow)]
struct Body {
    sequence: i64,
    headers: String,
    content_type: Option<String>,
    data: Option<Vec<u8>>,
}

/// Reads what was claimed, on a connection of its own: the writer goes on meanwhile.
async fn bodies(
    shared: &Shared,
    topic: &TopicName,
    claimed: Claimed,
) -> Result<Vec<Incoming>, Error> {
    let sequences: Vec<u64> = claimed
        .deliveries
        .iter()
        .map(|(sequence, _)| *sequence)
        .collect();
    let rows: Vec<Body> = sqlx::query_as(BODIES)
        .bind(serde_json::json!(sequences).to_string())
        .fetch_all(&shared.readers)
        .await
        .map_err(|source| fault::error("receive", source))?;
    let mut stored: HashMap<u64, Stored> = rows
        .into_iter()
        .map(|row| {
            (
                number(row.sequence),
                (row.headers, row.content_type, row.data),
            )
        })
        .collect();
    let incoming = claimed.deliveries.into_iter().map(|(sequence, attempt)| {
        let body = match stored.remove(&sequence) {
            Some(row) => decode(topic, row),
            // Retention keeps what is unsettled; somebody else deleted it.
            None => Err(Undecodable::new("the message is gone from the file", None)),
        };
        Incoming::new(
            body,
            attempt,
            sequence.to_string(),
            Receipt::new(sequence, claimed.fence),
        )
    });
    Ok(incoming.collect())
}

/// Waits for something to claim: told by this process, due by the clock, or done by another process.
async fn rest(shared: &Shared, desk: &Desk, next_due: Option<Millis>) {
    loop {
        let now = clock::now();
        let due = next_due
            .filter(|due| *due > now)
            .map(|due| clock::until(now, due));
        let pause = due.map_or(shared.config.poll, |due| due.min(shared.config.poll));
        tokio::select! {
            () = desk.wake.notified() => return,
            () = sleep(pause) => {}
        }
        // A file that cannot be asked has something to tell.
        if anything(shared, desk).await.unwrap_or(true) {
            return;
        }
    }
}

async fn anything(shared: &Shared, desk: &Desk) -> Result<bool, Fault> {
    sqlx::query_scalar(ANYTHING)
        .bind(desk.place.subscription)
        .bind(desk.place.topic)
        .bind(clock::now())
        .fetch_one(&shared.readers)
        .await
        .map_err(Fault::not_written)
}
