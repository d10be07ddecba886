//! Runs a case on SQLite and on PostgreSQL.

use commerce_consumer_framework::storage::Database;
use uuid::Uuid;

/// A place for databases of one case, removed with it.
pub(crate) struct Place {
    url: String,
    schema: String,
    directory: Option<tempfile::TempDir>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self {
            url: format!("sqlite:{}", directory.path().display()),
            schema: "case".to_owned(),
            directory: Some(directory),
        }
    }

    /// `None` where no PostgreSQL was promised; under `CI=true` it must be there.
    pub(crate) fn postgres() -> Option<Self> {
        let url = std::env::var("DATABASE_URL").unwrap_or_default();
        if url.is_empty() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "DATABASE_URL is not set, and CI=true promises a PostgreSQL"
            );
            println!("skipped: DATABASE_URL is not set");
            return None;
        }
        Some(Self {
            url,
            schema: format!("case_{}", Uuid::now_v7().simple()),
            directory: None,
        })
    }

    /// Opens the database; every call is a handle of its own, as another process would have.
    pub(crate) async fn open(&self) -> Database {
        self.open_as(&self.schema).await
    }

    /// A second database in the same place.
    pub(crate) async fn open_other(&self) -> Database {
        self.open_as(&format!("{}_other", self.schema)).await
    }

    async fn open_as(&self, schema: &str) -> Database {
        Database::connect_in(&self.url, schema)
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
    }

    pub(crate) async fn remove(self) {
        if self.directory.is_none() {
            let mut tx = Database::connect_in(&self.url, &self.schema)
                .await
                .unwrap()
                .begin()
                .await
                .unwrap();
            for schema in [self.schema.clone(), format!("{}_other", self.schema)] {
                let drop = format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE");
                tx.script(commerce_consumer_framework::storage::AssertSqlSafe(drop))
                    .await
                    .unwrap();
            }
            tx.commit().await.unwrap();
        }
    }
}

/// Writes a case once; it becomes two tests, `<name>::sqlite` and `<name>::postgres`.
macro_rules! on_each_database {
    ($(async fn $name:ident($place:ident: &Place) $body:block)*) => { $(
        mod $name {
            #[allow(unused_imports, reason = "not every case uses all that its file imports")]
            use super::*;

            async fn case($place: &crate::databases::Place) $body

            #[tokio::test]
            async fn sqlite() {
                let place = crate::databases::Place::sqlite();
                case(&place).await;
                place.remove().await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(place) = crate::databases::Place::postgres() {
                    case(&place).await;
                    place.remove().await;
                }
            }
        }
    )* };
}
