//! Storage that belongs to one test.

use std::path::Path;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

/// A temporary directory, and on PostgreSQL a database; both empty.
#[derive(Debug)]
pub struct Scratch {
    directory: TempDir,
    postgres: Option<Postgres>,
}

#[derive(Debug)]
struct Postgres {
    server: String,
    database: String,
    url: String,
}

impl Scratch {
    /// SQLite files in the directory.
    pub fn sqlite() -> anyhow::Result<Self> {
        Ok(Self {
            directory: tempfile::tempdir()?,
            postgres: None,
        })
    }

    /// A new database on the server of `DATABASE_URL`, or `None` when there is no such server (see
    /// [`server`](super::server)).
    pub async fn postgres() -> anyhow::Result<Option<Self>> {
        let Some(server) = super::server("DATABASE_URL") else {
            return Ok(None);
        };
        let database = format!("test_{}", Uuid::now_v7().simple());
        let mut url = Url::parse(&server).context("DATABASE_URL is not a URL")?;
        url.set_path(&database);
        run(&server, format!("CREATE DATABASE {database}")).await?;
        let postgres = Postgres {
            server,
            database,
            url: url.into(),
        };
        Ok(Some(Self {
            directory: tempfile::tempdir()?,
            postgres: Some(postgres),
        }))
    }

    /// The temporary directory, removed at the end.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What to give as `store`.
    pub fn store(&self) -> String {
        match &self.postgres {
            Some(postgres) => postgres.url.clone(),
            None => format!("sqlite:{}", self.directory().join("store").display()),
        }
    }

    /// A bus in a file of the directory.
    pub fn bus(&self) -> String {
        format!("sqlite:{}", self.directory().join("bus.db").display())
    }

    /// Removes the database; the directory goes by itself.
    pub async fn remove(self) -> anyhow::Result<()> {
        match self.postgres {
            Some(Postgres {
                server, database, ..
            }) => run(&server, format!("DROP DATABASE {database} WITH (FORCE)")).await,
            None => Ok(()),
        }
    }
}

async fn run(server: &str, sql: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(server)
        .await
        .context("cannot connect to DATABASE_URL")?;
    // The only variable part is a name made above of letters and digits.
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}
