//! Abandoned subscriptions: each tells when a member was last there, and one that nobody was at for long enough goes, if
//! that is wanted.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::time::{Instant, sleep};

use super::Shared;
use super::clock::{self, Millis, Now};
use super::fault::Fault;
use super::writer::{Task, Touched};

/// How often a process tells for which subscriptions it is there.
const TELL: Duration = Duration::from_mins(1);
/// How long a subscription is watched before it goes. A machine that slept finds all of them idle when it wakes: by then
/// every process that is there has told so.
const WATCH: Duration = Duration::from_secs(150);

/// 1: ids as JSON, 2: now.
pub(super) const SEEN: &str = "
    UPDATE subscription SET seen_at = ?2 WHERE id IN (SELECT value FROM json_each(?1))";

/// Somebody is there.
pub(super) async fn seen(
    connection: &mut SqliteConnection,
    subscriptions: &[i64],
    now: Millis,
) -> Result<(), sqlx::Error> {
    sqlx::query(SEEN)
        .bind(serde_json::json!(subscriptions).to_string())
        .bind(now)
        .execute(connection)
        .await
        .map(drop)
}

/// Tells for which subscriptions this process is there, and looks for abandoned ones, as long as anybody uses the bus.
pub(super) async fn run(shared: Weak<Shared>) {
    let mut suspects = Suspects::default();
    loop {
        sleep(TELL).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match turn(&shared, &mut suspects, Instant::now()).await {
            Ok(()) => {}
            Err(Fault::Closed) => return,
            Err(fault) => tracing::warn!(error = ?fault, "abandoned subscriptions not looked for"),
        }
    }
}

/// Subscriptions that look abandoned: what `seen_at` was when they first did, and when that was.
pub(super) type Suspects = HashMap<i64, (Millis, Instant)>;

pub(super) async fn turn(
    shared: &Shared,
    suspects: &mut Suspects,
    at: Instant,
) -> Result<(), Fault> {
    let here: Vec<i64> = shared
        .desks
        .all()
        .iter()
        .filter(|desk| !desk.is_closed())
        .map(|desk| desk.place.subscription)
        .collect();
    if !here.is_empty() {
        shared.work(Seen(here)).await?;
    }
    let Some(idle) = shared.config.expire_subscriptions else {
        return Ok(());
    };
    let horizon = shared.clock.wall().saturating_sub(clock::millis(idle));
    let idle: Vec<(i64, Millis)> =
        sqlx::query_as("SELECT id, seen_at FROM subscription WHERE seen_at < ?1")
            .bind(horizon)
            .fetch_all(&shared.readers)
            .await
            .map_err(Fault::not_written)?;
    suspects.retain(|id, (seen_at, _)| idle.contains(&(*id, *seen_at)));
    for (id, seen_at) in idle {
        let (_, since) = *suspects.entry(id).or_insert((seen_at, at));
        if at.saturating_duration_since(since) < WATCH {
            continue;
        }
        suspects.remove(&id);
        if let Some(gone) = shared.work(Expire { id, seen_at }).await? {
            tracing::warn!(
                topic = gone.topic,
                subscription = gone.name,
                unsettled = gone.unsettled,
                dead_letters = gone.dead_letters,
                "abandoned subscription removed"
            );
        }
    }
    Ok(())
}

struct Seen(Vec<i64>);

#[async_trait]
impl Task for Seen {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        now: Now,
        _: &mut Touched,
    ) -> Result<(), sqlx::Error> {
        seen(connection, &self.0, now.wall).await
    }
}

/// Removes a subscription and all that it has, unless somebody was there since.
struct Expire {
    id: i64,
    seen_at: Millis,
}

struct Gone {
    topic: String,
    name: String,
    unsettled: u64,
    dead_letters: u64,
}

#[async_trait]
impl Task for Expire {
    type Output = Option<Gone>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: Now,
        _: &mut Touched,
    ) -> Result<Self::Output, sqlx::Error> {
        let gone: Option<(i64, String)> = sqlx::query_as(
            "DELETE FROM subscription WHERE id = ?1 AND seen_at = ?2 RETURNING topic_id, name",
        )
        .bind(self.id)
        .bind(self.seen_at)
        .fetch_optional(&mut *connection)
        .await?;
        let Some((topic, name)) = gone else {
            return Ok(None);
        };
        let topic: String = sqlx::query_scalar("SELECT name FROM topic WHERE id = ?1")
            .bind(topic)
            .fetch_one(&mut *connection)
            .await?;
        let unsettled = sqlx::query("DELETE FROM delivery WHERE subscription_id = ?1")
            .bind(self.id)
            .execute(&mut *connection)
            .await?
            .rows_affected();
        let dead_letters = sqlx::query("DELETE FROM dead_letter WHERE subscription_id = ?1")
            .bind(self.id)
            .execute(connection)
            .await?
            .rows_affected();
        Ok(Some(Gone {
            topic,
            name,
            unsettled,
            dead_letters,
        }))
    }
}
