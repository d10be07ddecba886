//! Schema changes: only ever added, applied once, in order.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::Utc;
use uuid::Uuid;

use super::database::{Database, Dialect};
use super::error::{Error, ErrorKind};
use super::transaction::Transaction;

/// One step of a component's schema.
///
/// A step that has been applied anywhere is never edited again: the next change is a new step.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    version: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Migration {
    /// A step with the same text for both databases: statements separated by semicolons.
    pub const fn new(version: i64, sql: &'static str) -> Self {
        Self::per_dialect(version, sql, sql)
    }

    /// A step that each database wants in its own words.
    pub const fn per_dialect(version: i64, sqlite: &'static str, postgres: &'static str) -> Self {
        Self {
            version,
            sqlite,
            postgres,
        }
    }

    /// The step's number; a component's steps are numbered upwards.
    pub const fn version(&self) -> i64 {
        self.version
    }

    fn sql(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }

    /// A fingerprint of the text. Line endings do not count: a checkout may change them.
    fn checksum(&self, dialect: Dialect) -> Uuid {
        let sql = self.sql(dialect);
        let text: Cow<'_, str> = if sql.contains('\r') {
            sql.replace("\r\n", "\n").into()
        } else {
            sql.into()
        };
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
    }
}

pub(super) async fn apply(
    database: &Database,
    component: &str,
    migrations: &[Migration],
) -> Result<(), Error> {
    if !migrations.is_sorted_by(|a, b| a.version < b.version) {
        return Err(wrong(
            component,
            "the versions do not rise from one migration to the next",
        ));
    }
    let mut tx = database.begin().await?;
    // On SQLite the transaction itself already keeps other writers out.
    #[cfg(feature = "postgres")]
    if tx.dialect() == Dialect::Postgres {
        tx.query("SELECT pg_advisory_xact_lock($1)")
            .bind(super::postgres::MIGRATION_LOCK)
            .execute()
            .await?;
    }
    tx.script(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
            component TEXT NOT NULL,
            version BIGINT NOT NULL,
            checksum UUID NOT NULL,
            applied_at TIMESTAMPTZ NOT NULL,
            PRIMARY KEY (component, version)
        )",
    )
    .await?;
    let mut applied: HashMap<i64, Uuid> = tx
        .query("SELECT version, checksum FROM schema_migrations WHERE component = $1")
        .bind(component)
        .fetch_all::<(i64, Uuid)>()
        .await?
        .into_iter()
        .collect();
    let newest = applied.keys().copied().max();
    for migration in migrations {
        let version = migration.version;
        match applied.remove(&version) {
            Some(checksum) if checksum == migration.checksum(tx.dialect()) => {}
            Some(_) => {
                let problem = format!(
                    "migration {version} was changed after it was applied: restore its text and add a new one"
                );
                return Err(wrong(component, &problem));
            }
            None if newest.is_some_and(|newest| version < newest) => {
                let problem = format!(
                    "migration {version} is new but numbered below one that was applied: give it the next free number"
                );
                return Err(wrong(component, &problem));
            }
            None => apply_one(&mut tx, component, migration).await?,
        }
    }
    if !applied.is_empty() {
        // A newer release has been here; while releases are rolled out that is in order.
        tracing::warn!(
            component,
            unknown = applied.len(),
            "the database has migrations that this program does not know"
        );
    }
    tx.commit().await
}

async fn apply_one(
    tx: &mut Transaction,
    component: &str,
    migration: &Migration,
) -> Result<(), Error> {
    let (version, dialect) = (migration.version, tx.dialect());
    tx.script(migration.sql(dialect)).await.map_err(|error| {
        let message = format!("{component}: migration {version} failed");
        Error::new(ErrorKind::Migration, message).with_source(error)
    })?;
    tx.query(
        "INSERT INTO schema_migrations (component, version, checksum, applied_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(component)
    .bind(version)
    .bind(migration.checksum(dialect))
    .bind(Utc::now())
    .execute()
    .await?;
    tracing::info!(component, version, "migration applied");
    Ok(())
}

fn wrong(component: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Migration, format!("{component}: {problem}"))
}
