//! The platform as the demo sets it up: on loopback, in one process, on the bus and the databases of the run.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use commerce_consumer_framework::Stats;
use commerce_event_bus::{EventBus, SubscriptionName, TopicName};
use commerce_host::{Drained, Settings, Shutdown};
use commerce_resilient_client::Client;

use super::collect;
use super::faults::Faults;
use super::run::Run;
use super::shop::ADMINISTRATOR;
use crate::assembly::{Assembly, Platform, Sandbox, Surroundings};

/// The customers' mail, in the data folder.
pub(crate) const MAILBOX: &str = "mailbox.mbox";

/// Who listens to what.
const SUBSCRIPTIONS: [(&str, &str); 3] = [
    ("orders", "payments"),
    ("orders", "notifications"),
    ("payments", "orders"),
];
const READY_WITHIN: Duration = Duration::from_mins(1);

/// The running platform.
pub(crate) struct Stage {
    platform: Platform,
    folder: PathBuf,
    /// Counters of consumers that were aborted; their successors begin at zero.
    ended: Mutex<Vec<Arc<Stats>>>,
}

/// What the services counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// What came again and changed nothing.
    pub(crate) duplicates: u64,
    /// Attempts after the first.
    pub(crate) retries: u64,
}

impl Stage {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn set(run: &Run, folder: &Path, faults: &Faults) -> anyhow::Result<Self> {
        // The system chooses the ports at each start: none has to be free again when a run is resumed, for nothing that is
        // stored names them.
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut payments = commerce_payments::Config::default();
        payments.provider_api_key = run.secrets.provider_api_key.clone().into();
        payments.webhook_secret = run.secrets.webhook.clone().into();
        let mut sandbox = commerce_provider_sandbox::Config::default();
        sandbox.api_key = run.secrets.provider_api_key.clone().into();
        sandbox.webhook_secret = run.secrets.webhook.clone().into();
        let surroundings = if run.faults {
            faults.surroundings()
        } else {
            Surroundings::default()
        };
        let assembly = Assembly {
            settings: settings(run, folder, listen),
            identity: identity(run),
            orders: commerce_orders::Config::default(),
            payments,
            notifications: commerce_notifications::Config::default(),
            sandbox: Some(Sandbox {
                listen,
                config: sandbox,
            }),
        };
        let platform = assembly.start(surroundings).await?;
        let stage = Self {
            platform,
            folder: folder.to_owned(),
            ended: Mutex::default(),
        };
        stage.wait_until_ready().await?;
        Ok(stage)
    }

    /// Where the platform is.
    pub(crate) fn url(&self) -> &str {
        self.platform.services.url()
    }

    /// Where the provider is.
    pub(crate) fn provider_url(&self) -> &str {
        let sandbox = self.platform.sandbox.as_ref();
        sandbox.map_or("", commerce_host::Running::url)
    }

    /// The bus that the services use.
    pub(crate) fn bus(&self) -> &EventBus {
        &self.platform.services.resources().bus
    }

    /// Asks for the end of everything that runs here.
    pub(crate) fn shutdown(&self) -> Shutdown {
        self.platform.services.resources().shutdown.clone()
    }

    /// The customers' mail.
    pub(crate) fn mailbox(&self) -> PathBuf {
        self.folder.join(MAILBOX)
    }

    /// Whether orders are on their way, or events before any consumer.
    pub(crate) async fn is_busy(&self, shop: &Client) -> anyhow::Result<bool> {
        for state in ["CREATED", "CHECKOUT"] {
            if collect::any_in_state(shop, state).await? {
                return Ok(true);
            }
        }
        for (topic, name) in SUBSCRIPTIONS {
            if !self
                .bus()
                .backlog(&TopicName::new(topic)?, &SubscriptionName::new(name)?)
                .await?
                .is_drained()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Dead letters by topic and consumer.
    pub(crate) async fn dead_letters(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut dead = BTreeMap::new();
        for (topic, name) in SUBSCRIPTIONS {
            let backlog = self
                .bus()
                .backlog(&TopicName::new(topic)?, &SubscriptionName::new(name)?)
                .await?;
            dead.insert(format!("{name} of topic {topic}"), backlog.dead);
        }
        Ok(dead)
    }

    /// Ends a consumer in the middle of what it does; false when there is none of that name.
    pub(crate) fn abort_consumer(&self, name: &str) -> bool {
        let consumers = self.platform.services.consumers();
        let ending = consumers.filter_map(|(consumer, stats)| (consumer == name).then_some(stats));
        self.ended().extend(ending);
        self.platform.services.abort_consumer(name)
    }

    /// What consumers and payments counted since this process was started.
    pub(crate) fn counted(&self) -> Counted {
        let mut counted = Counted::default();
        let running = self.platform.services.consumers().map(|(_, stats)| stats);
        for stats in running.chain(self.ended().iter().cloned()) {
            counted.duplicates += stats.duplicates();
            counted.retries += stats.retries();
        }
        let metrics = &self.platform.services.resources().metrics;
        let scraped = metrics.render().unwrap_or_default();
        counted.duplicates += sum(
            &scraped,
            "payments_provider_reports_total",
            &["source=\"webhook\"", "outcome=\"absorbed\""],
        );
        counted.retries += sum(
            &scraped,
            "payments_provider_client_total",
            &["what=\"retries\""],
        );
        counted
    }

    /// The databases of all services and of the provider.
    pub(crate) async fn databases(&self) -> Vec<String> {
        let mut names = self.platform.services.resources().database_names().await;
        if let Some(sandbox) = &self.platform.sandbox {
            names.extend(sandbox.resources().database_names().await);
        }
        names
    }

    fn ended(&self) -> MutexGuard<'_, Vec<Arc<Stats>>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drains and ends everything.
    pub(crate) async fn strike(self) {
        if let Drained::TimedOut { unfinished } = self.platform.shutdown().await {
            eprintln!(
                "the drain took too long; unfinished: {}",
                unfinished.join(", ")
            );
        }
    }

    async fn wait_until_ready(&self) -> anyhow::Result<()> {
        let ready = Client::builder(&format!("{}/health/ready", self.url()))?
            .retry(commerce_resilient_client::RetryPolicy::none())
            .build()?;
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        loop {
            match ready.entry().get::<serde_json::Value>().await {
                Ok(_) => return Ok(()),
                Err(error) if tokio::time::Instant::now() > deadline => {
                    bail!("the platform was not ready within {READY_WITHIN:?}: {error}");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

fn settings(run: &Run, folder: &Path, listen: SocketAddr) -> Settings {
    let mut settings = Settings::default();
    settings.listen = listen;
    folder.clone_into(&mut settings.data);
    settings.bus = run
        .bus
        .as_deref()
        .map(commerce_host::settings::ConnectionUrl::new);
    settings.store = run
        .store
        .as_deref()
        .map(commerce_host::settings::ConnectionUrl::new);
    // Several runs may share a broker or a database server.
    settings.namespace = (run.bus.is_some() || run.store.is_some()).then(|| run.namespace());
    settings
}

fn identity(run: &Run) -> commerce_identity::Config {
    let mut config = commerce_identity::Config::default();
    ADMINISTRATOR.clone_into(&mut config.admin_client_id);
    config.admin_client_secret = Some(run.secrets.administrator.clone().into());
    config
}

/// Adds up the samples of a metric that have all these labels.
fn sum(scraped: &str, metric: &str, labels: &[&str]) -> u64 {
    scraped
        .lines()
        .filter(|line| line.starts_with(metric) && labels.iter().all(|label| line.contains(label)))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn samples_are_added_up_by_label() {
        let scraped = "# HELP a_total x\na_total{b=\"1\",c=\"2\"} 3\na_total{b=\"1\"} 4\na_total{b=\"2\"} 5\nb_total{b=\"1\"} 6\n";
        assert_eq!(sum(scraped, "a_total", &["b=\"1\""]), 7);
        assert_eq!(sum(scraped, "a_total", &["b=\"1\"", "c=\"2\""]), 3);
    }
}
