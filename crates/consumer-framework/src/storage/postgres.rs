//! PostgreSQL: how it is connected to and how values are bound.

use std::str::FromStr;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions};
use sqlx::types::Json;
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, PgPool};

use super::error::{Error, ErrorKind};
use super::value::Value;

/// Any number would do; it must be the same in every process that shares the database.
pub(super) const MIGRATION_LOCK: i64 = 0x636f_6d6d_6572_6365;

/// A pool whose connections see `schema` only, if one is named. It is created when missing.
pub(super) async fn connect(url: &str, schema: Option<&str>) -> Result<PgPool, Error> {
    let mut options = PgConnectOptions::from_str(url)
        .map_err(|source| {
            let message =
                "the PostgreSQL URL is wrong: write postgres://user:password@host/database";
            Error::new(ErrorKind::Configuration, message).with_source(source)
        })?
        // "relation … already exists, skipping" is of no interest to anybody.
        .options([("client_min_messages", "warning")]);
    let failed = |source| Error::from_driver("connecting to PostgreSQL", source);
    if let Some(schema) = schema {
        create_schema(&options, schema).await.map_err(failed)?;
        options = options.options([("search_path", schema)]);
    }
    PgPoolOptions::new()
        .connect_with(options)
        .await
        .map_err(failed)
}

/// `CREATE SCHEMA IF NOT EXISTS` fails when two sessions run it at the same time: they take turns.
async fn create_schema(options: &PgConnectOptions, schema: &str) -> Result<(), sqlx::Error> {
    use sqlx::Connection;
    let mut connection = options.connect().await?;
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *tx)
        .await?;
    // The caller has checked that the name is made of letters, digits and `_`.
    sqlx::query(AssertSqlSafe(format!(
        "CREATE SCHEMA IF NOT EXISTS \"{schema}\""
    )))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    connection.close().await
}

pub(super) fn arguments(values: Vec<Value>) -> Result<PgArguments, Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Bool(value) => Arguments::add(&mut arguments, value),
            Value::I32(value) => Arguments::add(&mut arguments, value),
            Value::I64(value) => Arguments::add(&mut arguments, value),
            Value::F64(value) => Arguments::add(&mut arguments, value),
            Value::Text(value) => Arguments::add(&mut arguments, value),
            Value::Bytes(value) => Arguments::add(&mut arguments, value),
            Value::Uuid(value) => Arguments::add(&mut arguments, value),
            Value::Time(value) => Arguments::add(&mut arguments, value),
            Value::Json(value) => Arguments::add(&mut arguments, value.map(Json)),
        }
        .map_err(|source| Error::new(ErrorKind::Other, "binding a value").with_source(source))?;
    }
    Ok(arguments)
}
