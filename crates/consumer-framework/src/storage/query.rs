//! One statement and its values, run by whichever driver is behind.

use sqlx::{SqlSafeStr, SqlStr};

use super::error::{Error, ErrorKind};
use super::record::Record;
use super::value::Value;

/// A statement with its values, made by [`Database::query`](super::Database::query) or
/// [`Transaction::query`](super::Transaction::query).
#[must_use = "a statement does nothing until it is executed or fetched"]
pub struct Query<'a> {
    target: Target<'a>,
    sql: SqlStr,
    values: Vec<Value>,
    /// Set when the database refuses the statement; see [`Transaction`](super::Transaction).
    refused: Option<&'a mut bool>,
}

/// Where a statement runs.
pub(super) enum Target<'a> {
    #[cfg(feature = "sqlite")]
    SqlitePools {
        readers: &'a sqlx::SqlitePool,
        writer: &'a sqlx::SqlitePool,
    },
    #[cfg(feature = "sqlite")]
    SqliteConnection(&'a mut sqlx::SqliteConnection),
    #[cfg(feature = "postgres")]
    PostgresPool(&'a sqlx::PgPool),
    #[cfg(feature = "postgres")]
    PostgresConnection(&'a mut sqlx::PgConnection),
}

/// Runs one expression against the target's own driver. `$pool` says which of SQLite's pools.
macro_rules! run {
    ($query:ident, $pool:ident, |$sql:ident, $arguments:ident, $executor:ident| $call:expr) => {{
        let Query {
            target,
            sql: $sql,
            values,
            refused,
        } = $query;
        let result = match target {
            #[cfg(feature = "sqlite")]
            Target::SqlitePools {
                $pool: $executor, ..
            } => {
                let $arguments = super::sqlite::arguments(values)?;
                $call
            }
            #[cfg(feature = "sqlite")]
            Target::SqliteConnection($executor) => {
                let $arguments = super::sqlite::arguments(values)?;
                $call
            }
            #[cfg(feature = "postgres")]
            Target::PostgresPool($executor) => {
                let $arguments = super::postgres::arguments(values)?;
                $call
            }
            #[cfg(feature = "postgres")]
            Target::PostgresConnection($executor) => {
                let $arguments = super::postgres::arguments(values)?;
                $call
            }
        };
        result.map_err(|source| failed(source, refused))
    }};
}

impl<'a> Query<'a> {
    pub(super) fn new(target: Target<'a>, sql: impl SqlSafeStr) -> Self {
        Self {
            target,
            sql: sql.into_sql_str(),
            values: Vec::new(),
            refused: None,
        }
    }

    pub(super) fn reporting_to(mut self, refused: &'a mut bool) -> Self {
        self.refused = Some(refused);
        self
    }

    /// Gives the next placeholder its value: the first call is `$1`.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs the statement and returns how many rows it changed.
    ///
    /// Outside a transaction it is a transaction of its own.
    pub async fn execute(self) -> Result<u64, Error> {
        self.check()?;
        run!(self, writer, |sql, arguments, executor| {
            sqlx::query_with(sql, arguments)
                .execute(executor)
                .await
                .map(|done| done.rows_affected())
        })
    }

    /// The first row, or an error of kind [`ErrorKind::RowNotFound`].
    pub async fn fetch_one<R: Record>(self) -> Result<R, Error> {
        self.check()?;
        run!(self, readers, |sql, arguments, executor| {
            sqlx::query_as_with(sql, arguments)
                .fetch_one(executor)
                .await
        })
    }

    /// The first row, if there is one.
    pub async fn fetch_optional<R: Record>(self) -> Result<Option<R>, Error> {
        self.check()?;
        run!(self, readers, |sql, arguments, executor| {
            sqlx::query_as_with(sql, arguments)
                .fetch_optional(executor)
                .await
        })
    }

    /// All rows. They are held in memory: give the statement a `LIMIT`.
    pub async fn fetch_all<R: Record>(self) -> Result<Vec<R>, Error> {
        self.check()?;
        run!(self, readers, |sql, arguments, executor| {
            sqlx::query_as_with(sql, arguments)
                .fetch_all(executor)
                .await
        })
    }

    /// SQLite takes a missing value for `NULL`, silently; PostgreSQL refuses it. Both refuse here.
    fn check(&self) -> Result<(), Error> {
        let (wanted, bound) = (placeholders(self.sql.as_str()), self.values.len());
        if wanted == bound {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Other,
            format!("a statement with {wanted} placeholders was given {bound} values"),
        ))
    }
}

fn failed(source: sqlx::Error, refused: Option<&mut bool>) -> Error {
    if let Some(refused) = refused {
        *refused |= matches!(source, sqlx::Error::Database(_));
    }
    Error::from_driver("statement", source)
}

/// The highest `$N` outside of texts, quoted names and comments.
fn placeholders(sql: &str) -> usize {
    let mut highest = 0;
    let mut rest = sql;
    while let Some(start) = rest.find(['\'', '"', '$', '-']) {
        let (mark, after) = (rest.as_bytes()[start], &rest[start + 1..]);
        rest = match mark {
            b'$' => {
                let end = after
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(after.len());
                highest = highest.max(after[..end].parse().unwrap_or(0));
                &after[end..]
            }
            b'-' if after.starts_with('-') => skip_past(after, '\n'),
            b'-' => after,
            quote => skip_past(after, char::from(quote)),
        };
    }
    highest
}

fn skip_past(text: &str, end: char) -> &str {
    text.find(end).map_or("", |at| &text[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::placeholders;

    #[test]
    fn placeholders_are_counted_outside_texts_and_comments() {
        assert_eq!(placeholders("SELECT 1"), 0);
        assert_eq!(placeholders("SELECT $2, $1 WHERE a = $2"), 2);
        assert_eq!(
            placeholders("SELECT '$9', \"$8\", 3 - $1 -- $7, it's\n, $10"),
            10
        );
        assert_eq!(placeholders("SELECT 'it''s $3' || $1"), 1);
    }
}
