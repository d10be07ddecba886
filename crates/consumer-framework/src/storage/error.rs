//! What went wrong in the database, in words that are the same for both.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// An error of the storage: what happened ([`kind`](Error::kind)), during what, and the driver's
/// own error as its [`source`](StdError::source).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`] that a program may want to treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A primary key or unique index already holds this value.
    UniqueViolation,
    /// A foreign key points nowhere, or is still pointed to.
    ForeignKeyViolation,
    /// A `CHECK` or `NOT NULL` constraint refused the row.
    CheckViolation,
    /// Another transaction was in the way (deadlock, serialization failure, database locked).
    Contention,
    /// The database cannot be reached, or no connection became free in time.
    Unavailable,
    /// A statement that must return a row returned none.
    RowNotFound,
    /// A migration is wrong: its text was changed after it was applied, its number is out of order.
    Migration,
    /// The URL or another setting is wrong.
    Configuration,
    /// Anything else: a mistake in the SQL, a column of another type, ….
    Other,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            operation: operation.into(),
            source: None,
        }
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn from_driver(
        operation: impl Into<Cow<'static, str>>,
        source: sqlx::Error,
    ) -> Self {
        Self::new(kind_of(&source), operation).with_source(source)
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether a primary key or unique index already holds the value: the usual sign of a
    /// duplicate.
    pub fn is_unique_violation(&self) -> bool {
        self.kind == ErrorKind::UniqueViolation
    }

    /// Whether the same work may succeed when it is done again from the start of its transaction.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Contention | ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::UniqueViolation => "the value exists already",
            ErrorKind::ForeignKeyViolation => "a foreign key is violated",
            ErrorKind::CheckViolation => "a constraint is violated",
            ErrorKind::Contention => "another transaction is in the way",
            ErrorKind::Unavailable => "the database is unavailable",
            ErrorKind::RowNotFound => "no such row",
            // These three are told by the operation's own text or by the source.
            ErrorKind::Migration | ErrorKind::Configuration => return f.write_str(&self.operation),
            ErrorKind::Other if self.source.is_none() => return f.write_str(&self.operation),
            ErrorKind::Other => "failed",
        };
        write!(f, "{}: {what}", self.operation)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

fn kind_of(error: &sqlx::Error) -> ErrorKind {
    use sqlx::error::ErrorKind as Driver;
    match error {
        sqlx::Error::Database(error) => match error.kind() {
            Driver::UniqueViolation => ErrorKind::UniqueViolation,
            Driver::ForeignKeyViolation => ErrorKind::ForeignKeyViolation,
            Driver::CheckViolation | Driver::NotNullViolation | Driver::ExclusionViolation => {
                ErrorKind::CheckViolation
            }
            _ => error
                .code()
                .map_or(ErrorKind::Other, |code| kind_of_code(&code)),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => ErrorKind::Unavailable,
        sqlx::Error::RowNotFound => ErrorKind::RowNotFound,
        sqlx::Error::Configuration(_) => ErrorKind::Configuration,
        _ => ErrorKind::Other,
    }
}

/// PostgreSQL's SQLSTATEs have five characters; SQLite's extended result codes have at most four
/// digits, the primary code in the low byte.
fn kind_of_code(code: &str) -> ErrorKind {
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    if code.len() == 5 {
        return match code {
            // serialization_failure, deadlock_detected, lock_not_available
            "40001" | "40P01" | "55P03" => ErrorKind::Contention,
            // admin_shutdown, crash_shutdown, cannot_connect_now
            "57P01" | "57P02" | "57P03" => ErrorKind::Unavailable,
            // connection exceptions, insufficient resources (too many connections, disk full)
            _ if code.starts_with("08") || code.starts_with("53") => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
    }
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(SQLITE_BUSY | SQLITE_LOCKED) => ErrorKind::Contention,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        assert_eq!(kind_of_code("5"), ErrorKind::Contention);
        assert_eq!(
            kind_of_code("517"),
            ErrorKind::Contention,
            "SQLITE_BUSY_SNAPSHOT"
        );
        assert_eq!(kind_of_code("1"), ErrorKind::Other);
        assert_eq!(kind_of_code("40P01"), ErrorKind::Contention);
        assert_eq!(kind_of_code("53300"), ErrorKind::Unavailable);
        assert_eq!(
            kind_of_code("42601"),
            ErrorKind::Other,
            "a syntax error is not transient"
        );
    }
}
