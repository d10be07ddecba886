//! Keeps a desk supplied: claims when there is room and something to claim, and sleeps when there is not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Shared;
use super::claim::{Claim, Claimed, number};
use super::clock::{self, Millis};
use super::codec::{Stored, decode};
use super::desk::{Desk, Fetched, Room};
use super::fault::{self, Fault};
use super::settle::Verdict;
use super::statements::{ANYTHING, BODIES};
use crate::backend::{Incoming, Receipt};
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::message::Undecodable;
use crate::name::TopicName;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Supplies the desk until it is closed.
pub(super) async fn run(
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    topic: TopicName,
    filter: Arc<Filter>,
) {
    let mut pause = FIRST_PAUSE;
    while let Some(room) = desk.roomy().await {
        match supply(&shared, &desk, &topic, &filter, room).await {
            Ok(Supplied { more: true, .. }) => pause = FIRST_PAUSE,
            Ok(Supplied { next_due, .. }) => {
                pause = FIRST_PAUSE;
                // Also when the next message does not fit beside what is held: another member may take it.
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
    filter: &Arc<Filter>,
    room: Room,
) -> Result<Supplied, Error> {
    let claim = Claim {
        place: desk.place,
        room,
        lease: desk.lease,
        filter: Arc::clone(filter),
    };
    let claimed = shared
        .work(claim)
        .await
        .map_err(|fault| fault.into_error("receive"))?;
    if claimed.gone {
        let problem = "the subscription is gone: nobody was there for longer than expire_subscriptions; subscribe again";
        return Err(Error::new(ErrorKind::Config, "receive", problem));
    }
    let (more, next_due) = (claimed.more, claimed.next_due);
    if !claimed.deliveries.is_empty() {
        let receipts: Vec<Receipt> = claimed
            .deliveries
            .iter()
            .map(|leased| Receipt::new(leased.sequence, claimed.fence))
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
    #[sqlx(flatten)]
    stored: Stored,
}

/// Reads what was claimed, on a connection of its own: the writer goes on meanwhile.
async fn bodies(
    shared: &Shared,
    topic: &TopicName,
    claimed: Claimed,
) -> Result<Vec<Fetched>, Error> {
    let sequences: Vec<u64> = claimed
        .deliveries
        .iter()
        .map(|leased| leased.sequence)
        .collect();
    let rows: Vec<Body> = sqlx::query_as(BODIES)
        .bind(serde_json::json!(sequences).to_string())
        .fetch_all(&shared.readers)
        .await
        .map_err(|source| fault::error("receive", source))?;
    let mut stored: HashMap<u64, Stored> = rows
        .into_iter()
        .map(|row| (number(row.sequence), row.stored))
        .collect();
    let fetched = claimed.deliveries.into_iter().map(|leased| {
        let body = match stored.remove(&leased.sequence) {
            Some(row) => decode(topic, row),
            // Retention keeps what is unsettled; somebody else deleted it.
            None => Err(Undecodable::new("the message is gone from the file", None)),
        };
        let receipt = Receipt::new(leased.sequence, claimed.fence);
        let position = leased.sequence.to_string();
        let incoming = Incoming::new(body, leased.attempt, position, receipt)
            .with_first_seen_at(Some(clock::time(leased.first_seen_at)));
        Fetched {
            incoming,
            size: leased.size,
        }
    });
    Ok(fetched.collect())
}

/// Waits for something to claim: told by this process, due by the clock, or done by another process.
async fn rest(shared: &Shared, desk: &Desk, next_due: Option<Millis>) {
    loop {
        let now = shared.clock.steady();
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
        .bind(shared.clock.steady())
        .fetch_one(&shared.readers)
        .await
        .map_err(Fault::not_written)
}
