//! Later: messages that are not due wait in a table of their own. Whichever open bus of the file is the first to notice
//! appends them to the log when they are.

use std::collections::HashSet;
use std::sync::Weak;
use std::time::Duration;

use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};
use tokio::time::sleep;

use super::Shared;
use super::clock::{self, Millis};
use super::codec::Row;
use super::fault::Fault;
use super::feed::Ping;
use super::writer::Touched;

/// How many messages one transaction appends at most, and how many bytes; one always.
const ROWS: usize = 1000;
const BYTES: i64 = 32 * 1024 * 1024;
/// Until the next try after one that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// When the next message is due.
pub(super) const NEXT: &str = "SELECT min(due) FROM scheduled";

/// What is due, in the order in which it became due, and how large it is.
/// 1: now, 2: how many.
pub(super) const DUE: &str = "
    SELECT id, topic_id, octet_length(attributes) + coalesce(octet_length(data), 0) + coalesce(octet_length(headers), 0)
    FROM scheduled WHERE due <= ?1 ORDER BY due, id LIMIT ?2";

/// 1: now, 2: ids as JSON.
pub(super) const APPEND: &str = "
    INSERT INTO message (topic_id, message_key, published_at, attributes, content_type, data, headers)
    SELECT topic_id, message_key, ?1, attributes, content_type, data, headers
    FROM scheduled WHERE id IN (SELECT value FROM json_each(?2)) ORDER BY due, id";

/// 1: ids as JSON.
pub(super) const FORGET: &str =
    "DELETE FROM scheduled WHERE id IN (SELECT value FROM json_each(?1))";

/// Keeps messages until they are due.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    rows: &[(i64, &Row)],
) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO scheduled (due, topic_id, message_key, attributes, content_type, data, headers) ",
    );
    insert.push_values(rows, |mut values, (topic, row)| {
        values
            .push_bind(row.due)
            .push_bind(*topic)
            .push_bind(row.key.as_deref())
            .push_bind(row.attributes.as_str())
            .push_bind(row.content_type.as_deref())
            .push_bind(row.data.as_deref())
            .push_bind(row.headers.as_deref());
    });
    let cached = rows.len() == 1;
    insert
        .build()
        .persistent(cached)
        .execute(connection)
        .await
        .map(drop)
}

/// Appends what is due, in a transaction of its own: where there is no room for it, other work must not fail with it.
pub(super) async fn append_due(
    connection: &mut SqliteConnection,
    now: Millis,
    touched: &mut Touched,
) -> Result<(), sqlx::Error> {
    let next: Option<Millis> = sqlx::query_scalar(NEXT).fetch_one(&mut *connection).await?;
    if next.is_none_or(|next| next > now) {
        return Ok(());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    append(&mut transaction, now, touched).await?;
    transaction.commit().await
}

/// Appends what is due, in this transaction.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    now: Millis,
    touched: &mut Touched,
) -> Result<(), sqlx::Error> {
    let due: Vec<(i64, i64, i64)> = sqlx::query_as(DUE)
        .bind(now)
        .bind(i64::try_from(ROWS).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    let mut bytes = 0;
    let fitting = due.iter().take_while(|(.., size)| {
        let first = bytes == 0;
        bytes += size;
        first || bytes <= BYTES
    });
    let (ids, topics): (Vec<i64>, HashSet<i64>) =
        fitting.map(|(id, topic, _)| (*id, *topic)).unzip();
    let ids = serde_json::json!(ids).to_string();
    sqlx::query(APPEND)
        .bind(now)
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query(FORGET).bind(&ids).execute(connection).await?;
    touched.topics.extend(topics);
    // There may be more.
    touched.scheduled = true;
    Ok(())
}

/// Sees to it that what is due is appended, as long as anybody uses the bus. Each transaction of the writer begins with
/// that, so all it takes is one.
pub(super) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let poll = shared.config.poll;
        if shared.clock.was_set() {
            // A transaction corrects the file's clock, before somebody takes it as it is.
            let _ = shared.work(Ping).await;
        }
        let pause = match next(&shared).await {
            Ok(None) => poll,
            Ok(Some(due)) => match clock::until(shared.clock.wall(), due) {
                Duration::ZERO => match shared.work(Ping).await {
                    // What could not be appended waits for its next turn; more that was due wakes this at once.
                    Ok(()) => PAUSE.min(poll),
                    Err(Fault::Closed) => return,
                    Err(_) => PAUSE,
                },
                // What other processes schedule is noticed by a look now and then.
                until => until.min(poll),
            },
            Err(Fault::Closed) => return,
            Err(_) => PAUSE,
        };
        let desks = shared.desks.clone();
        // A bus that nobody holds any more must not be held by this.
        drop(shared);
        tokio::select! {
            () = desks.scheduled.notified() => {}
            () = sleep(pause) => {}
        }
    }
}

async fn next(shared: &Shared) -> Result<Option<Millis>, Fault> {
    if shared.is_closed() {
        return Err(Fault::Closed);
    }
    sqlx::query_scalar(NEXT)
        .fetch_one(&shared.readers)
        .await
        .map_err(Fault::not_written)
}
