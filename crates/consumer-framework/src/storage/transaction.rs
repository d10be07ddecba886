//! A transaction on either database.

use std::fmt;

use sqlx::SqlSafeStr;
use tokio::sync::watch;

use super::database::Dialect;
use super::error::{Error, ErrorKind};
use super::query::{Query, Target};

/// An open transaction: [`commit`](Transaction::commit) keeps its changes, dropping it undoes them.
///
/// On SQLite it holds the write lock from its start (`BEGIN IMMEDIATE`), and there is one writer:
/// do nothing slow while it is open.
///
/// When the database has refused a statement, PostgreSQL accepts no other in the same transaction
/// and answers a commit by undoing everything, without an error; SQLite undoes the one statement
/// and goes on. Here both are the same: after a refused statement `commit` is an error. A row that
/// may exist already is written with `ON CONFLICT … DO NOTHING`, which refuses nothing.
pub struct Transaction {
    pub(super) driver: Driver,
    /// Announces to the outbox's relay in this process that there is something to publish.
    wake: watch::Sender<u64>,
    appended: bool,
    refused: bool,
}

pub(super) enum Driver {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Transaction {
    pub(super) fn new(driver: Driver, wake: watch::Sender<u64>) -> Self {
        Self {
            driver,
            wake,
            appended: false,
            refused: false,
        }
    }

    /// A statement to run inside the transaction; see [`Database::query`](super::Database::query).
    pub fn query(&mut self, sql: impl SqlSafeStr) -> Query<'_> {
        let target = match &mut self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(tx) => Target::SqliteConnection(tx),
            #[cfg(feature = "postgres")]
            Driver::Postgres(tx) => Target::PostgresConnection(tx),
        };
        Query::new(target, sql).reporting_to(&mut self.refused)
    }

    /// Runs statements that take no values, separated by semicolons.
    pub async fn script(&mut self, sql: impl SqlSafeStr) -> Result<(), Error> {
        let script = sqlx::raw_sql(sql);
        match &mut self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(tx) => script.execute(&mut **tx).await.map(drop),
            #[cfg(feature = "postgres")]
            Driver::Postgres(tx) => script.execute(&mut **tx).await.map(drop),
        }
        .map_err(|source| {
            self.refused = true;
            Error::from_driver("script", source)
        })
    }

    /// Makes the changes durable and visible.
    ///
    /// When a connection breaks during the commit, nobody knows whether it took place: do the work
    /// again and let an idempotency key, such as the inbox, find out.
    pub async fn commit(self) -> Result<(), Error> {
        self.check()?;
        match self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(tx) => tx.commit().await,
            #[cfg(feature = "postgres")]
            Driver::Postgres(tx) => tx.commit().await,
        }
        .map_err(|source| Error::from_driver("commit", source))?;
        if self.appended {
            self.wake.send_modify(|commits| *commits += 1);
        }
        Ok(())
    }

    /// Undoes the changes and waits until they are undone; dropping the transaction undoes them as
    /// well, in the background.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(tx) => tx.rollback().await,
            #[cfg(feature = "postgres")]
            Driver::Postgres(tx) => tx.rollback().await,
        }
        .map_err(|source| Error::from_driver("rollback", source))
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Driver::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The driver's connection, for what only SQLite can do. What is refused there is not noticed
    /// by [`commit`](Transaction::commit).
    #[cfg(feature = "sqlite")]
    pub fn as_sqlite(&mut self) -> Option<&mut sqlx::SqliteConnection> {
        match &mut self.driver {
            Driver::Sqlite(tx) => Some(tx),
            #[cfg(feature = "postgres")]
            Driver::Postgres(_) => None,
        }
    }

    /// The driver's connection, for what only PostgreSQL can do. What is refused there is not noticed
    /// by [`commit`](Transaction::commit): use a savepoint, or give the error on.
    #[cfg(feature = "postgres")]
    pub fn as_postgres(&mut self) -> Option<&mut sqlx::PgConnection> {
        match &mut self.driver {
            Driver::Postgres(tx) => Some(tx),
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(_) => None,
        }
    }

    /// Whether there is still something to commit.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.refused {
            return Ok(());
        }
        let message =
            "nothing was committed: the transaction has a statement that the database refused";
        Err(Error::new(ErrorKind::Other, message))
    }

    /// Remembers to wake the relay when this transaction commits.
    pub(crate) fn mark_appended(&mut self) {
        self.appended = true;
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("dialect", &self.dialect())
            .finish_non_exhaustive()
    }
}
