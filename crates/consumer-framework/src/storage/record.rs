//! Rows that can be read from either database.

/// A type that a row can be read into: `#[derive(sqlx::FromRow)]`, or a tuple of columns.
///
/// It is implemented for every type that implements [`sqlx::FromRow`] for the databases that are
/// compiled in; the derive macro does so for all of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a row",
    note = "add `#[derive(sqlx::FromRow)]` to `{Self}`, or read the row into a tuple such as `(String, i64)`"
)]
pub trait Record: sealed::FromSqliteRow + sealed::FromPostgresRow + Send + Unpin {}

impl<T: sealed::FromSqliteRow + sealed::FromPostgresRow + Send + Unpin> Record for T {}

/// One bound for each database, always met by a database that is not compiled in: [`Record`] then
/// reads the same whatever features are on.
mod sealed {
    #[cfg(feature = "sqlite")]
    pub trait FromSqliteRow: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> {}
    #[cfg(feature = "sqlite")]
    impl<T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>> FromSqliteRow for T {}

    #[cfg(not(feature = "sqlite"))]
    pub trait FromSqliteRow {}
    #[cfg(not(feature = "sqlite"))]
    impl<T> FromSqliteRow for T {}

    #[cfg(feature = "postgres")]
    pub trait FromPostgresRow: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> {}
    #[cfg(feature = "postgres")]
    impl<T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>> FromPostgresRow for T {}

    #[cfg(not(feature = "postgres"))]
    pub trait FromPostgresRow {}
    #[cfg(not(feature = "postgres"))]
    impl<T> FromPostgresRow for T {}
}
