//! The file: its tables, and how connections to it are made.

use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use tokio::time::{Instant, sleep};

use super::config::Config;
use super::fault::{self, is_busy};
use crate::error::{Error, ErrorKind};

/// Marks the file as ours, so that no other database is taken for a bus.
const APPLICATION_ID: i32 = 0x0c0b_0501;
const VERSION: i32 = 3;

/// Times are milliseconds since 1970.
///
/// `message` is the log of all topics; its index holds what deciding about deliveries needs, so that no body is read
/// for that. `attributes` are those of the event, as a JSON list of names and values; `headers` travel beside it.
///
/// `subscription.cursor`: everything up to it was taken from the log and has a row in `delivery` until it is settled,
/// or was not wanted. `seen_at`: when a member was last there. Its numbers are not given twice: who still holds one of a
/// subscription that is gone must not find another's.
///
/// `delivery.head` is 1 for the one row of a lane that may be delivered; a row without a lane is always one. `ready_at` is
/// when a head may be delivered, by the file's clock: for a leased row (`fence` > 0), when its lease ends. `reasons` are
/// those of earlier rejections, as a JSON list, the newest last.
///
/// `scheduled` is what will be in the log when it is due, by the wall's clock.
///
/// `clock` has one row: by how much the file's clock is ahead of the wall's, and how late it was there at least.
const SCHEMA: &str = "
CREATE TABLE topic (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    topic_id INTEGER NOT NULL,
    message_key TEXT,
    published_at INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    content_type TEXT,
    data BLOB,
    headers BLOB
) STRICT;
CREATE INDEX message_by_topic ON message (topic_id, sequence, message_key);

CREATE TABLE scheduled (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    due INTEGER NOT NULL,
    topic_id INTEGER NOT NULL,
    message_key TEXT,
    attributes TEXT NOT NULL,
    content_type TEXT,
    data BLOB,
    headers BLOB
) STRICT;
CREATE INDEX scheduled_by_due ON scheduled (due, id);

CREATE TABLE subscription (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    ordered INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    seen_at INTEGER NOT NULL,
    UNIQUE (topic_id, name)
) STRICT;

CREATE TABLE delivery (
    subscription_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    lane TEXT,
    head INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    first_seen_at INTEGER,
    first_failed_at INTEGER,
    reasons TEXT,
    PRIMARY KEY (subscription_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_ready ON delivery (subscription_id, ready_at, sequence) WHERE head = 1;
CREATE INDEX delivery_lane ON delivery (subscription_id, lane, sequence) WHERE lane IS NOT NULL;

CREATE TABLE dead_letter (
    subscription_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reasons TEXT NOT NULL,
    rejected_at INTEGER NOT NULL,
    first_seen_at INTEGER,
    first_failed_at INTEGER,
    PRIMARY KEY (subscription_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE clock (
    ahead INTEGER NOT NULL,
    reached INTEGER NOT NULL
) STRICT;
INSERT INTO clock (ahead, reached) VALUES (0, 0);
";

/// From each version to the next, the first from version 1. A program of an older version that has the file open finds
/// columns that it does not know, or misses some that it does, and fails; it writes nothing that is wrong.
const MIGRATIONS: [&str; 2] = [
    "
ALTER TABLE message RENAME COLUMN headers TO attributes;
ALTER TABLE message ADD COLUMN headers BLOB;

CREATE TABLE scheduled (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    due INTEGER NOT NULL,
    topic_id INTEGER NOT NULL,
    message_key TEXT,
    attributes TEXT NOT NULL,
    content_type TEXT,
    data BLOB,
    headers BLOB
) STRICT;
CREATE INDEX scheduled_by_due ON scheduled (due, id);

ALTER TABLE subscription RENAME TO subscription_of_version_1;
CREATE TABLE subscription (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    ordered INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    seen_at INTEGER NOT NULL,
    UNIQUE (topic_id, name)
) STRICT;
INSERT INTO subscription (id, topic_id, name, ordered, cursor, fence, seen_at)
    SELECT id, topic_id, name, ordered, cursor, fence, CAST(unixepoch('subsec') * 1000 AS INTEGER)
    FROM subscription_of_version_1;
DROP TABLE subscription_of_version_1;

ALTER TABLE delivery ADD COLUMN first_seen_at INTEGER;
ALTER TABLE delivery ADD COLUMN first_failed_at INTEGER;
ALTER TABLE delivery ADD COLUMN reasons TEXT;

ALTER TABLE dead_letter RENAME COLUMN reason TO reasons;
UPDATE dead_letter SET reasons = json_array(reasons);
ALTER TABLE dead_letter ADD COLUMN first_seen_at INTEGER;
ALTER TABLE dead_letter ADD COLUMN first_failed_at INTEGER;
",
    "
ALTER TABLE delivery RENAME COLUMN due TO ready_at;

CREATE TABLE clock (
    ahead INTEGER NOT NULL,
    reached INTEGER NOT NULL
) STRICT;
INSERT INTO clock (ahead, reached) VALUES (0, 0);
",
];

fn options(config: &Config) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&config.path)
        .create_if_missing(true)
        .foreign_keys(false)
        .busy_timeout(Duration::from_secs(5))
        .journal_mode(SqliteJournalMode::Wal)
        // Every commit reaches the disk: accepted means durable.
        .synchronous(SqliteSynchronous::Full)
        // The write-ahead log shrinks again after a burst.
        .pragma("journal_size_limit", "67108864")
}

/// The connection that writes. Waits while another process makes the file.
pub(super) async fn open_writer(config: &Config) -> Result<SqliteConnection, Error> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match try_open(config).await {
            // Switching a new file to the write-ahead log reports busy at once, whatever the busy timeout.
            Err(Opening::Driver(error)) if is_busy(&error) && Instant::now() < deadline => {
                sleep(Duration::from_millis(20)).await;
            }
            Err(Opening::Driver(error)) => return Err(fault::error("connect", error)),
            Err(Opening::Refused(error)) => return Err(error),
            Ok(connection) => return Ok(connection),
        }
    }
}

enum Opening {
    Driver(sqlx::Error),
    Refused(Error),
}

impl From<sqlx::Error> for Opening {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

async fn try_open(config: &Config) -> Result<SqliteConnection, Opening> {
    let mut connection = SqliteConnection::connect_with(&options(config)).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let (application_id, version, tables): (i32, i32, i64) = sqlx::query_as(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(&mut *transaction)
    .await?;
    let path = config.path.display();
    if tables == 0 {
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        mark(transaction).await?;
    } else if application_id != APPLICATION_ID {
        let problem =
            format!("{path} is the database of something else; a bus needs a file of its own");
        return Err(refused(problem));
    } else if version == VERSION {
        transaction.rollback().await?;
    } else if let Some(missing) = missing_steps(version) {
        for step in missing {
            sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        }
        mark(transaction).await?;
        tracing::info!(path = %path, from = version, to = VERSION, "bus file brought to this version");
    } else {
        let problem = format!(
            "{path} is a bus file of version {version}; this program knows versions up to {VERSION}"
        );
        return Err(refused(problem));
    }
    Ok(connection)
}

/// The steps from an older version to this one; none for a version that never was.
fn missing_steps(version: i32) -> Option<&'static [&'static str]> {
    let done = usize::try_from(version).ok()?.checked_sub(1)?;
    MIGRATIONS.get(done..).filter(|steps| !steps.is_empty())
}

async fn mark(mut transaction: Transaction<'_, Sqlite>) -> Result<(), sqlx::Error> {
    let marks =
        format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};");
    sqlx::raw_sql(sqlx::AssertSqlSafe(marks))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

fn refused(problem: String) -> Opening {
    Opening::Refused(Error::new(ErrorKind::Config, "connect", problem))
}

/// The connection that writes, again. The file must be there: an empty one in its place would lose everything silently.
pub(super) async fn reconnect(config: &Config) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnection::connect_with(&options(config).create_if_missing(false)).await
}

/// The connections that read. Made after the writer's, which makes the file.
pub(super) async fn open_readers(config: &Config) -> Result<SqlitePool, Error> {
    SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options(config).pragma("query_only", "ON"))
        .await
        .map_err(|source| fault::error("connect", source))
}
