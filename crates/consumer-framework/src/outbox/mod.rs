//! Events stored in the transaction that they tell about, and published afterwards.
//!
//! [`append`] stores an event, [`Relay`] publishes what is stored. An event is published if and only
//! if its transaction was committed; in order per topic and key; and at least once: a relay that
//! dies between the bus's confirmation and the deletion of the entry publishes it again, with the same
//! event id, which an inbox at the other side absorbs.
//!
//! Order is the order in which entries get their positions. Two transactions that append events of the
//! same key must therefore not overlap: change, or lock, the row that the events are about first.

mod aside;
mod entries;
mod lease;
mod relay;
mod wave;

use chrono::{DateTime, Utc};
use commerce_event_bus::Message;

pub use self::relay::Relay;
use crate::storage::{Database, Error, Transaction};
use crate::trace;

/// Stores an event, to be published once the transaction is committed. An event that has no trace
/// gets the current one (feature `opentelemetry`).
pub async fn append(tx: &mut Transaction, message: &Message) -> Result<(), Error> {
    let event = trace::stamp_current(message.event.clone());
    // A topic has no '/' and no '#': lanes of two topics never meet. An event without a key waits for nobody.
    let lane = match event.key() {
        Some(key) => format!("{}/{key}", message.topic),
        None => format!("{}#{}", message.topic, event.id()),
    };
    let json = String::from_utf8_lossy(&event.to_json()).into_owned();
    tx.query("INSERT INTO outbox (topic, lane, event, appended_at) VALUES ($1, $2, $3, $4)")
        .bind(message.topic.as_str())
        .bind(lane)
        .bind(json)
        .bind(Utc::now())
        .execute()
        .await?;
    tx.mark_appended();
    Ok(())
}

/// What waits in the outbox to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// How many events.
    pub waiting: u64,
    /// When the oldest of them was stored.
    pub oldest: Option<DateTime<Utc>>,
}

/// How much waits in the outbox: something for a metric, and for a readiness check.
pub async fn backlog(database: &Database) -> Result<Backlog, Error> {
    let (waiting,): (i64,) = database
        .query("SELECT COUNT(*) FROM outbox")
        .fetch_one()
        .await?;
    let oldest: Option<(DateTime<Utc>,)> = database
        .query("SELECT appended_at FROM outbox ORDER BY position LIMIT 1")
        .fetch_optional()
        .await?;
    Ok(Backlog {
        waiting: waiting.unsigned_abs(),
        oldest: oldest.map(|(at,)| at),
    })
}
