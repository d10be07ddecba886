//! One member of a subscription.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::clock::{Millis, Now};
use super::desk::{Desk, Place};
use super::expiry::seen;
use super::fault::closed;
use super::publish::make_topic;
use super::settle::{SqliteSettler, Verdict};
use super::writer::{Task, Touched};
use super::{Shared, lease, pump};
use crate::backend::{Feed, Incoming, Settler};
use crate::error::{Error, ErrorKind};
use crate::subscription::{Order, Start, Subscription};

/// Hands out what the pump put on its desk.
pub(super) struct SqliteFeed {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
}

impl SqliteFeed {
    /// Makes the subscription if it is new.
    pub(super) async fn join(
        shared: Arc<Shared>,
        subscription: Subscription,
    ) -> Result<Self, Error> {
        if shared.is_closing() {
            return Err(closed("subscribe"));
        }
        let Subscription { topic, filter, .. } = subscription.clone();
        let (limit, max_bytes, lease_time) = (
            subscription.max_in_flight,
            subscription.max_bytes_in_flight,
            subscription.lease,
        );
        let joined = shared.work(Join { subscription }).await;
        let place = joined.map_err(|fault| fault.into_error("subscribe"))?;
        let place = place.map_err(|problem| Error::new(ErrorKind::Config, "subscribe", problem))?;
        let desk = Arc::new(Desk::new(place, lease_time, limit, max_bytes));
        shared.desks.add(&desk);
        if shared.is_closing() {
            // A close that began meanwhile may not have seen the desk.
            let _nothing_yet = desk.close();
            return Err(closed("subscribe"));
        }
        tokio::spawn(pump::run(
            Arc::clone(&shared),
            Arc::clone(&desk),
            topic,
            Arc::new(filter),
        ));
        tokio::spawn(lease::keep(Arc::downgrade(&shared), Arc::downgrade(&desk)));
        Ok(Self { shared, desk })
    }
}

#[async_trait]
impl Feed for SqliteFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        self.desk.receive().await
    }

    fn settler(&self) -> Arc<dyn Settler> {
        Arc::new(SqliteSettler {
            shared: Arc::clone(&self.shared),
            desk: Arc::clone(&self.desk),
        })
    }

    async fn close(self: Box<Self>) {
        let unreceived = self.desk.close();
        self.shared
            .give_back(&self.desk, unreceived, || Verdict::Untouched);
        // When the writer has answered this, it has given back what was asked before. A writer that fails gives the
        // deliveries back by their leases.
        let _ = self.shared.work(Ping).await;
    }
}

impl Drop for SqliteFeed {
    fn drop(&mut self) {
        let unreceived = self.desk.close();
        self.shared
            .give_back(&self.desk, unreceived, || Verdict::Untouched);
    }
}

/// Proves that the file can be written.
pub(super) struct Ping;

#[async_trait]
impl Task for Ping {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: Now,
        _: &mut Touched,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(connection).await.map(drop)
    }
}

struct Join {
    subscription: Subscription,
}

#[async_trait]
impl Task for Join {
    type Output = Result<Place, String>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        now: Now,
        _: &mut Touched,
    ) -> Result<Self::Output, sqlx::Error> {
        join(connection, &self.subscription, now.wall).await
    }
}

/// Finds the subscription, or makes it; says what is wrong when it is another kind of subscription.
pub(super) async fn join(
    connection: &mut SqliteConnection,
    subscription: &Subscription,
    now: Millis,
) -> Result<Result<Place, String>, sqlx::Error> {
    let Subscription {
        topic, name, order, ..
    } = subscription;
    let ordered = *order == Order::PerKey;
    let topic_id = make_topic(connection, topic).await?;
    let known: Option<(i64, bool)> =
        sqlx::query_as("SELECT id, ordered FROM subscription WHERE topic_id = ?1 AND name = ?2")
            .bind(topic_id)
            .bind(name.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    let id = match known {
        Some((id, known)) if known == ordered => {
            seen(connection, &[id], now).await?;
            id
        }
        Some((_, known)) => {
            let exists = if known {
                Order::PerKey
            } else {
                Order::Unordered
            };
            return Ok(Err(format!(
                "subscription {name} of topic {topic} exists as {exists:?}, not {order:?}; members share one order"
            )));
        }
        None => {
            let cursor = match start(connection, topic_id, &subscription.start).await? {
                Ok(cursor) => cursor,
                Err(problem) => return Ok(Err(problem)),
            };
            sqlx::query(
                "INSERT INTO subscription (topic_id, name, ordered, cursor, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .bind(topic_id)
            .bind(name.as_str())
            .bind(ordered)
            .bind(cursor)
            .bind(now)
            .execute(connection)
            .await?
            .last_insert_rowid()
        }
    };
    Ok(Ok(Place {
        topic: topic_id,
        subscription: id,
        ordered,
    }))
}

/// The cursor of a subscription that begins there.
async fn start(
    connection: &mut SqliteConnection,
    topic: i64,
    start: &Start,
) -> Result<Result<i64, String>, sqlx::Error> {
    Ok(Ok(match start {
        Start::Earliest => 0,
        Start::Latest => last_sequence(connection, topic).await?,
        Start::Time(time) => match first_since(connection, topic, *time).await? {
            Some(first) => first - 1,
            None => last_sequence(connection, topic).await?,
        },
        Start::Position(position) => match position.parse::<i64>() {
            Ok(first @ 1..) => first - 1,
            _ => {
                return Ok(Err(format!(
                    "{position:?} is no position of a bus file; they are whole numbers from 1 on"
                )));
            }
        },
    }))
}

/// Times are kept in milliseconds: the one that the time lies in counts as since.
async fn first_since(
    connection: &mut SqliteConnection,
    topic: i64,
    time: DateTime<Utc>,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT sequence FROM message WHERE topic_id = ?1 AND published_at >= ?2 ORDER BY sequence LIMIT 1",
    )
    .bind(topic)
    .bind(time.timestamp_millis())
    .fetch_optional(connection)
    .await
}

async fn last_sequence(connection: &mut SqliteConnection, topic: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(sequence), 0) FROM message WHERE topic_id = ?1")
        .bind(topic)
        .fetch_one(connection)
        .await
}
