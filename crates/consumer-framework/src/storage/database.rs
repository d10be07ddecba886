//! A handle on one database, SQLite or PostgreSQL.

use std::fmt;
use std::sync::Arc;

use sqlx::SqlSafeStr;
use tokio::sync::watch;

use super::error::{Error, ErrorKind};
use super::migration::{self, Migration};
use super::query::{Query, Target};
use super::schema;
use super::transaction::{Driver, Transaction};

/// A database, SQLite or PostgreSQL; a clone is another handle on the same one.
///
/// SQLite is opened in WAL mode with `synchronous = FULL`: a committed transaction survives a
/// power cut. One connection writes, a few others read beside it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    pools: Pools,
    /// Counts commits that wrote to the outbox, so that its relay need not wait for its next look.
    wake: watch::Sender<u64>,
}

enum Pools {
    #[cfg(feature = "sqlite")]
    Sqlite {
        writer: sqlx::SqlitePool,
        readers: sqlx::SqlitePool,
    },
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
}

/// Which of the two databases is behind a [`Database`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Database {
    /// Opens the database at `url` and creates this crate's tables in it (inbox, outbox).
    ///
    /// `sqlite:FILE` creates the file if it is missing; `postgres://user:password@host/database`
    /// uses the tables of the first schema of the search path. Take TLS to PostgreSQL by adding
    /// `sqlx` with one of its `tls-…` features to your own dependencies.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let database = match Location::of(url)? {
            #[cfg(feature = "sqlite")]
            Location::Sqlite(path) => Self::sqlite(&path).await?,
            #[cfg(feature = "postgres")]
            Location::Postgres => {
                Self::from_pools(Pools::Postgres(super::postgres::connect(url, None).await?))
            }
        };
        database.install().await?;
        Ok(database)
    }

    /// Opens a part of the database that is one component's own: on PostgreSQL the schema `schema`,
    /// created if it is missing and the only one on the search path; on SQLite the file
    /// `<schema>.db` in the directory that the URL names.
    ///
    /// # Errors
    /// Besides what [`connect`](Database::connect) reports: a `schema` that is not made of lower-case
    /// letters, digits and `_`.
    pub async fn connect_in(url: &str, schema: &str) -> Result<Self, Error> {
        check_schema(schema)?;
        let database = match Location::of(url)? {
            #[cfg(feature = "sqlite")]
            Location::Sqlite(directory) => {
                std::fs::create_dir_all(&directory).map_err(|source| {
                    let message = format!("cannot create the directory {}", directory.display());
                    Error::new(ErrorKind::Configuration, message).with_source(source)
                })?;
                Self::sqlite(&directory.join(format!("{schema}.db"))).await?
            }
            #[cfg(feature = "postgres")]
            Location::Postgres => {
                let pool = super::postgres::connect(url, Some(schema)).await?;
                Self::from_pools(Pools::Postgres(pool))
            }
        };
        database.install().await?;
        Ok(database)
    }

    #[cfg(feature = "sqlite")]
    async fn sqlite(file: &std::path::Path) -> Result<Self, Error> {
        let (writer, readers) = super::sqlite::connect(file).await?;
        Ok(Self::from_pools(Pools::Sqlite { writer, readers }))
    }

    fn from_pools(pools: Pools) -> Self {
        Self {
            inner: Arc::new(Inner {
                pools,
                wake: watch::Sender::new(0),
            }),
        }
    }

    /// Creates this crate's own tables, or brings them up to date. [`connect`](Database::connect)
    /// does so; a database made from a pool wants this call once.
    pub async fn install(&self) -> Result<(), Error> {
        self.migrate(schema::COMPONENT, schema::MIGRATIONS).await
    }

    /// Applies the migrations of `component` that this database has not seen yet, all in one
    /// transaction. Several processes may start at the same time: they take turns.
    ///
    /// # Errors
    /// Migrations are only ever added: an applied one whose text changed, or a new one numbered
    /// below an applied one, is an error, and nothing is done.
    pub async fn migrate(&self, component: &str, migrations: &[Migration]) -> Result<(), Error> {
        migration::apply(self, component, migrations).await
    }

    /// Begins a transaction that may write.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let driver = match &self.inner.pools {
            #[cfg(feature = "sqlite")]
            // A transaction that begins by reading and writes later fails at once when another has
            // written in between, however long the busy timeout: writers take the lock first.
            Pools::Sqlite { writer, .. } => writer
                .begin_with("BEGIN IMMEDIATE")
                .await
                .map(Driver::Sqlite),
            #[cfg(feature = "postgres")]
            Pools::Postgres(pool) => pool.begin().await.map(Driver::Postgres),
        }
        .map_err(|source| Error::from_driver("begin", source))?;
        Ok(Transaction::new(driver, self.inner.wake.clone()))
    }

    /// A statement to run outside a transaction. What is fetched is read beside the writer; on
    /// SQLite such a statement cannot write (`INSERT … RETURNING` wants a transaction).
    ///
    /// The text is a literal. One that is put together at run time is wrapped in
    /// [`AssertSqlSafe`](super::AssertSqlSafe), which says that no text from outside is part of it.
    pub fn query(&self, sql: impl SqlSafeStr) -> Query<'_> {
        let target = match &self.inner.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { writer, readers } => Target::SqlitePools { readers, writer },
            #[cfg(feature = "postgres")]
            Pools::Postgres(pool) => Target::PostgresPool(pool),
        };
        Query::new(target, sql)
    }

    /// Which database this is, for the few statements that cannot be the same on both.
    pub fn dialect(&self) -> Dialect {
        match &self.inner.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { .. } => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Pools::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<(), Error> {
        // PostgreSQL's literal 1 is 32 bits wide.
        let _: (i32,) = self.query("SELECT 1").fetch_one().await?;
        Ok(())
    }

    /// Waits for open transactions to end and closes the connections, for every clone of this handle.
    pub async fn close(&self) {
        match &self.inner.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { writer, readers } => {
                // The last connection to close folds the log into the file: let it be the writer.
                readers.close().await;
                writer.close().await;
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    pub(crate) fn wakes(&self) -> watch::Receiver<u64> {
        self.inner.wake.subscribe()
    }
}

#[cfg(feature = "sqlite")]
impl From<sqlx::SqlitePool> for Database {
    /// Uses the pool as it is for reading and writing; call [`install`](Database::install) next.
    fn from(pool: sqlx::SqlitePool) -> Self {
        Self::from_pools(Pools::Sqlite {
            writer: pool.clone(),
            readers: pool,
        })
    }
}

#[cfg(feature = "postgres")]
impl From<sqlx::PgPool> for Database {
    /// Uses the pool as it is; call [`install`](Database::install) next.
    fn from(pool: sqlx::PgPool) -> Self {
        Self::from_pools(Pools::Postgres(pool))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A pool's own Debug shows how it was opened, password and all.
        f.debug_struct("Database")
            .field("dialect", &self.dialect())
            .finish_non_exhaustive()
    }
}

enum Location {
    #[cfg(feature = "sqlite")]
    Sqlite(std::path::PathBuf),
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Location {
    fn of(url: &str) -> Result<Self, Error> {
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        let problem = match scheme {
            #[cfg(feature = "sqlite")]
            "sqlite" => return super::sqlite::path(rest).map(Self::Sqlite),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => return Ok(Self::Postgres),
            #[cfg(not(feature = "sqlite"))]
            "sqlite" => "SQLite is not compiled in: enable the feature `sqlite`".to_owned(),
            #[cfg(not(feature = "postgres"))]
            "postgres" | "postgresql" => {
                "PostgreSQL is not compiled in: enable the feature `postgres`".to_owned()
            }
            // The URL itself may hold a password: only its scheme is repeated.
            _ => format!(
                "unknown database URL scheme `{}`: write sqlite:FILE or postgres://user:password@host/database",
                if rest == url { "" } else { scheme }
            ),
        };
        #[cfg(not(feature = "sqlite"))]
        let _ = rest;
        Err(Error::new(ErrorKind::Configuration, problem))
    }
}

fn check_schema(schema: &str) -> Result<(), Error> {
    let good = (1..=63).contains(&schema.len())
        && schema.starts_with(|c: char| c.is_ascii_lowercase())
        && schema
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if good {
        return Ok(());
    }
    let message = format!(
        "`{schema}` is not a schema name: write a lower-case letter, then up to 62 lower-case letters, digits or `_`"
    );
    Err(Error::new(ErrorKind::Configuration, message))
}
