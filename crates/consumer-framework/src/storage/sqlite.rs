//! SQLite: how a file is opened and how values are bound.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::types::Json;
use sqlx::{Arguments, SqlitePool};

use super::error::{Error, ErrorKind};
use super::value::{Value, fixed_width};

/// Readers never wait for the writer in WAL mode; a few are enough for point queries.
const READERS: u32 = 4;
/// How long to wait for a writer in another process before "database is locked".
const BUSY: Duration = Duration::from_secs(10);

/// The path in `sqlite:PATH` or `sqlite://PATH`.
pub(super) fn path(rest: &str) -> Result<PathBuf, Error> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let problem = if path.is_empty() {
        "the SQLite URL names no file: write sqlite:FILE"
    } else if path.starts_with(":memory:") {
        // Each connection would have a database of its own.
        "an SQLite database in memory cannot be shared by connections: write sqlite:FILE"
    } else if path.contains('?') {
        "the SQLite URL takes no parameters: write sqlite:FILE"
    } else {
        return Ok(path.into());
    };
    Err(Error::new(ErrorKind::Configuration, problem))
}

/// A pool of one connection that writes, and a pool of connections that only read.
pub(super) async fn connect(file: &Path) -> Result<(SqlitePool, SqlitePool), Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY);
    let failed = |source| Error::from_driver(format!("opening {}", file.display()), source);
    let writer = open_writer(&options).await.map_err(failed)?;
    let readers = pool()
        .max_connections(READERS)
        .connect_with(options.pragma("query_only", "on"))
        .await
        .map_err(failed)?;
    Ok((writer, readers))
}

/// Switching a new file to WAL needs it for oneself, and SQLite does not apply the busy timeout
/// to that: of several processes that start together all but one may be refused at first.
async fn open_writer(options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        let opened = pool()
            .max_connections(1)
            .connect_with(options.clone())
            .await;
        match opened {
            Err(error) if waited < BUSY && is_busy(&error) => {
                waited += PAUSE;
                tokio::time::sleep(PAUSE).await;
            }
            opened => return opened,
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

/// A connection to a file does not go stale: it is neither tested before use nor replaced by age.
fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(1)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

pub(super) fn arguments(values: Vec<Value>) -> Result<SqliteArguments, Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Bool(value) => Arguments::add(&mut arguments, value),
            Value::I32(value) => Arguments::add(&mut arguments, value),
            Value::I64(value) => Arguments::add(&mut arguments, value),
            Value::F64(value) => Arguments::add(&mut arguments, value),
            Value::Text(value) => Arguments::add(&mut arguments, value),
            Value::Bytes(value) => Arguments::add(&mut arguments, value),
            Value::Uuid(value) => Arguments::add(&mut arguments, value),
            Value::Time(value) => Arguments::add(&mut arguments, value.map(fixed_width)),
            Value::Json(value) => Arguments::add(&mut arguments, value.map(Json)),
        }
        .map_err(|source| Error::new(ErrorKind::Other, "binding a value").with_source(source))?;
    }
    Ok(arguments)
}
