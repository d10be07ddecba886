//! What a demo leaves on servers that others use too: told, and where it is simple, removed.

use anyhow::Context as _;
use commerce_consumer_framework::storage::{AssertSqlSafe, Database};

/// So much of every name is in that of a queue.
const SQS_KEEPS: usize = 13;

/// What of a run is not in its folder. It holds a URL with a password: no Debug.
pub(crate) struct Leftovers {
    broker: Option<String>,
    store: Option<(String, Vec<String>)>,
}

impl Leftovers {
    /// Of a run on this bus and this store, under a namespace, whose services have opened these databases.
    pub(crate) fn of(
        bus: Option<&str>,
        store: Option<&str>,
        namespace: &str,
        databases: Vec<String>,
    ) -> Self {
        let scheme = |url: &str| url.split(':').next().unwrap_or_default().to_owned();
        let named = |made, start| format!("{made}: every name that begins with {start}");
        let ours = format!("{namespace}.");
        let broker = match bus.map(scheme).as_deref() {
            Some("kafka") => Some(named("topics and consumer groups on Kafka", &*ours)),
            Some("amqp" | "amqps") => Some(named("exchanges and queues on RabbitMQ", &*ours)),
            // Its names are short: the rest of a long one is a hash.
            Some("sqs") => {
                let start = namespace.get(..SQS_KEEPS).unwrap_or(namespace);
                let made = "queues of SQS and topics of SNS, behind the URL's prefix";
                Some(named(made, start))
            }
            _ => None,
        };
        let store = store.filter(|url| scheme(url).starts_with("postgres"));
        Self {
            broker,
            store: store.map(|url| (url.to_owned(), databases)),
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
        let store = self.store.iter().filter(|(_, schemas)| !schemas.is_empty());
        let store = store.map(|(_, schemas)| {
            format!(
                "schemas in PostgreSQL, to be removed with: DROP SCHEMA {} CASCADE",
                schemas.join(", ")
            )
        });
        self.broker.iter().cloned().chain(store).collect()
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

#[cfg(test)]
mod tests {
    use commerce_host::testing::Scratch;

    use super::*;

    #[test]
    fn what_is_left_on_servers_is_told_without_passwords() {
        let told =
            |bus, store| Leftovers::of(bus, store, "demo-1", vec!["demo_1_orders".into()]).told();
        assert!(told(None, None).is_empty());
        assert!(told(Some("memory:"), Some("sqlite:dir")).is_empty());
        let all = told(
            Some("amqp://me:secret@h/%2f"),
            Some("postgres://me:secret@h/d"),
        );
        assert_eq!(
            all,
            [
                "exchanges and queues on RabbitMQ: every name that begins with demo-1.",
                "schemas in PostgreSQL, to be removed with: DROP SCHEMA demo_1_orders CASCADE"
            ]
        );
    }

    #[test]
    fn what_is_left_on_sqs_is_told_as_far_as_its_names_tell_it() {
        let url = Some("sqs://key:secret@eu-central-1");
        let told = Leftovers::of(url, None, "demo-0123456789ab", Vec::new()).told();
        assert_eq!(
            told,
            [
                "queues of SQS and topics of SNS, behind the URL's prefix: every name that begins with demo-01234567"
            ]
        );
    }

    #[tokio::test]
    async fn the_schemas_of_a_run_go_and_others_stay() {
        let Some(scratch) = Scratch::postgres().await.unwrap() else {
            return;
        };
        let url = scratch.store();
        for schema in ["demo_1_orders", "demo_1_payments", "demo_2_orders"] {
            let database = Database::connect_in(&url, schema).await.unwrap();
            database.close().await;
        }
        let ours = vec!["demo_1_orders".to_owned(), "demo_1_payments".to_owned()];
        let mut leftovers = Leftovers::of(None, Some(&url), "demo-1", ours);
        leftovers.remove_schemas().await.unwrap();
        assert!(leftovers.told().is_empty());
        let database = Database::connect_in(&url, "demo_2_orders").await.unwrap();
        let left: Vec<(String,)> = database
            .query("SELECT CAST(nspname AS TEXT) FROM pg_namespace WHERE nspname LIKE 'demo%'")
            .fetch_all()
            .await
            .unwrap();
        assert_eq!(left, [("demo_2_orders".to_owned(),)]);
        database.close().await;
        scratch.remove().await.unwrap();
    }
}
