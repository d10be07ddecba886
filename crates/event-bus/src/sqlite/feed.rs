//! One member of a subscription.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::desk::{Desk, Next, Place};
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
        let (topic, limit, lease_time) = (
            subscription.topic.clone(),
            subscription.max_in_flight,
            subscription.lease,
        );
        let joined = shared.work(Join { subscription }).await;
        let place = joined.map_err(|fault| fault.into_error("subscribe"))?;
        let place = place.map_err(|problem| Error::new(ErrorKind::Config, "subscribe", problem))?;
        let desk = Arc::new(Desk::new(place, lease_time, limit));
        shared.desks.add(&desk);
        if shared.is_closing() {
            // A close that began meanwhile may not have seen the desk.
            let _nothing_yet = desk.close();
            return Err(closed("subscribe"));
        }
        tokio::spawn(pump::run(Arc::clone(&shared), Arc::clone(&desk), topic));
        tokio::spawn(lease::keep(Arc::downgrade(&shared), Arc::downgrade(&desk)));
        Ok(Self { shared, desk })
    }
}

#[async_trait]
impl Feed for SqliteFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        loop {
            match self.desk.next() {
                Next::Delivery(incoming) => return Ok(Some(*incoming)),
                Next::Closed => return Ok(None),
                Next::Error(error) => return Err(error),
                // A permit is kept for who was not waiting: nothing is missed in between.
                Next::Nothing => self.desk.arrived.notified().await,
            }
        }
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
        _: &mut Touched,
    ) -> Result<Self::Output, sqlx::Error> {
        join(connection, &self.subscription).await
    }
}

/// Finds the subscription, or makes it; says what is wrong when it is another kind of subscription.
pub(super) async fn join(
    connection: &mut SqliteConnection,
    subscription: &Subscription,
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
        Some((id, known)) if known == ordered => id,
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
            let cursor = match subscription.start {
                Start::Latest => last_sequence(connection, topic_id).await?,
                // The last two were refused before: they are not claimed.
                Start::Earliest | Start::Time(_) | Start::Position(_) => 0,
            };
            sqlx::query("INSERT INTO subscription (topic_id, name, ordered, cursor) VALUES (?1, ?2, ?3, ?4)")
                .bind(topic_id)
                .bind(name.as_str())
                .bind(ordered)
                .bind(cursor)
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

async fn last_sequence(connection: &mut SqliteConnection, topic: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(sequence), 0) FROM message WHERE topic_id = ?1")
        .bind(topic)
        .fetch_one(connection)
        .await
}
