//! What a demo leaves on servers that others use too: told, and where it is simple, removed.

use anyhow::Context as _;
use commerce_consumer_framework::storage::{AssertSqlSafe, Database};

use super::run::Run;

/// What of a run is not in its folder.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// Names of topics, and of what is made for them, begin with it.
    broker: Option<(&'static str, String)>,
    store: Option<(String, Vec<String>)>,
}

impl Leftovers {
    /// Of a run whose services have opened these databases.
    pub(crate) fn of(run: &Run, databases: Vec<String>) -> Self {
        let scheme = |url: &str| url.split(':').next().unwrap_or_default().to_owned();
        let broker = run.bus.as_deref().map(scheme);
        let broker = match broker.as_deref() {
            Some("kafka") => Some(("topics and consumer groups", "Kafka")),
            Some("amqp" | "amqps") => Some(("exchanges and queues", "RabbitMQ")),
            _ => None,
        };
        let store = run
            .store
            .clone()
            .filter(|url| scheme(url).starts_with("postgres"));
        Self {
            broker: broker.map(|(what, server)| {
                let namespace = run.namespace();
                (
                    what,
                    format!("{server}: every name that begins with {namespace}."),
                )
            }),
            store: store.map(|url| (url, databases)),
        }
    }

    /// Drops the PostgreSQL schemas. What of them cannot be dropped is still told.
    ///
    /// # Errors
    /// Why the first that remains does.
    pub(crate) async fn remove_schemas(&mut self) -> anyhow::Result<()> {
        if let Some((url, schemas)) = &mut self.store {
            while let Some(schema) = schemas.last() {
                drop_schema(url, schema)
                    .await
                    .with_context(|| format!("the schema {schema} was not removed"))?;
                schemas.pop();
            }
        }
        Ok(())
    }

    /// What is left, for people: where, and what to remove.
    pub(crate) fn told(&self) -> Vec<String> {
        let broker = self.broker.iter();
        let broker = broker.map(|(what, where_)| format!("{what} on {where_}"));
        let store = self.store.iter().filter(|(_, schemas)| !schemas.is_empty());
        let store = store.map(|(_, schemas)| {
            format!(
                "schemas in PostgreSQL, to be removed with: DROP SCHEMA {} CASCADE",
                schemas.join(", ")
            )
        });
        broker.chain(store).collect()
    }
}

async fn drop_schema(url: &str, schema: &str) -> anyhow::Result<()> {
    // It opens lower-case letters, digits and _ only: nothing to be quoted.
    let database = Database::connect_in(url, schema).await?;
    let dropped = database
        .query(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE")))
        .execute()
        .await;
    database.close().await;
    dropped?;
    Ok(())
}
