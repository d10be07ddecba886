//! What SQLite says went wrong, in the words of the bus.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// Why a piece of work was not done. One failed transaction answers many callers.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Nothing was written.
    NotWritten(Shared),
    /// The commit failed: it may or may not have been written.
    MaybeWritten(Shared),
    /// The bus was closed before the work was done.
    Closed,
}

impl Fault {
    pub(super) fn not_written(error: sqlx::Error) -> Self {
        Self::NotWritten(Shared(Arc::new(error)))
    }

    pub(super) fn maybe_written(error: sqlx::Error) -> Self {
        Self::MaybeWritten(Shared(Arc::new(error)))
    }

    pub(super) fn into_error(self, operation: &'static str) -> Error {
        match self {
            Self::NotWritten(source) | Self::MaybeWritten(source) => describe(operation, source),
            Self::Closed => closed(operation),
        }
    }
}

pub(super) fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the bus is closed")
}

/// An error of the driver as an error of the bus.
pub(super) fn error(operation: &'static str, source: sqlx::Error) -> Error {
    describe(operation, Shared(Arc::new(source)))
}

fn describe(operation: &'static str, source: Shared) -> Error {
    let (kind, text) = classify(&source.0);
    Error::new(kind, operation, text).with_source(source)
}

/// Whether another process holds the file's write lock.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

fn classify(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    match primary_code(error) {
        Some(5 | 6) => (ErrorKind::Unavailable, "another process holds the bus file"),
        Some(13) => (ErrorKind::Unavailable, "the disk of the bus file is full"),
        Some(10) => (
            ErrorKind::Unavailable,
            "the bus file cannot be read or written",
        ),
        Some(14) => (ErrorKind::Unavailable, "the bus file cannot be opened"),
        Some(8) => (ErrorKind::Config, "the bus file is read-only"),
        Some(26) => (ErrorKind::Config, "the file is not a SQLite database"),
        Some(11) => (ErrorKind::Backend, "the bus file is damaged"),
        _ => match error {
            sqlx::Error::PoolTimedOut => (
                ErrorKind::Unavailable,
                "no connection to the bus file became free",
            ),
            sqlx::Error::PoolClosed => (ErrorKind::Closed, "the bus is closed"),
            _ => (ErrorKind::Backend, "the bus file refused the work"),
        },
    }
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    // Extended codes carry the primary one in their low byte.
    Some(code & 0xff)
}

/// A driver's error with several owners.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<sqlx::Error>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
