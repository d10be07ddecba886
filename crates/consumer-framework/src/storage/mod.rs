//! One SQL text for SQLite and PostgreSQL, with each database's own types.
//!
//! A [`Database`] is opened by URL. Statements are written once, with `$1`, `$2`, … and standard
//! SQL; values travel as the database's native types:
//!
//! | Rust | PostgreSQL | SQLite |
//! |---|---|---|
//! | `bool` | `BOOLEAN` | integer 0 or 1 |
//! | `i32` / `i64`, `u32` | `INTEGER` / `BIGINT` | integer |
//! | `f64` | `DOUBLE PRECISION` | real |
//! | `&str`, `String` | `TEXT` | text |
//! | `&[u8]`, `Vec<u8>` | `BYTEA` | blob |
//! | `Uuid` | `UUID` | blob of 16 bytes |
//! | `DateTime<Utc>` | `TIMESTAMPTZ` | text of fixed width, in UTC, with microseconds: it sorts by time |
//! | `serde_json::Value` | `JSONB` | text |
//!
//! SQLite takes PostgreSQL's type names in `CREATE TABLE`, so that most migrations need one text
//! as well. What differs for good (generated keys, `FOR UPDATE`, JSON operators) is said with
//! [`Migration::per_dialect`] and [`Database::dialect`].
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use commerce_consumer_framework::storage::{Database, Migration};
//! use uuid::Uuid;
//!
//! const MIGRATIONS: &[Migration] = &[Migration::new(
//!     1,
//!     "CREATE TABLE shipments (id UUID PRIMARY KEY, state TEXT NOT NULL)",
//! )];
//!
//! #[derive(sqlx::FromRow)]
//! struct Shipment {
//!     id: Uuid,
//!     state: String,
//! }
//!
//! # let directory = tempfile::tempdir()?;
//! # let url = format!("sqlite:{}", directory.path().join("shipping.db").display());
//! let db = Database::connect(&url).await?; // or postgres://…
//! db.migrate("shipping", MIGRATIONS).await?;
//!
//! let id = Uuid::now_v7();
//! let mut tx = db.begin().await?;
//! tx.query("INSERT INTO shipments (id, state) VALUES ($1, $2)").bind(id).bind("PACKED").execute().await?;
//! tx.commit().await?;
//!
//! let row: Shipment = db.query("SELECT id, state FROM shipments WHERE id = $1").bind(id).fetch_one().await?;
//! assert_eq!((row.id, row.state.as_str()), (id, "PACKED"));
//! # Ok(())
//! # }
//! # #[cfg(feature = "sqlite")]
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```

mod database;
mod error;
mod migration;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
mod record;
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
mod transaction;
mod value;

pub use self::database::{Database, Dialect};
pub use self::error::{Error, ErrorKind};
pub use self::migration::Migration;
pub use self::query::Query;
pub use self::record::Record;
pub use self::transaction::Transaction;
pub use self::value::Value;
/// Marks a statement that was put together at run time as free of outside text; see
/// [`Database::query`].
pub use sqlx::{AssertSqlSafe, SqlSafeStr};
