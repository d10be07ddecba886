//! Whether events are consumed: counters, backlog, and a verdict.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use commerce_consumer_framework::Stats;
use commerce_event_bus::{Backlog, EventBus, SubscriptionName, TopicName};
use tokio::sync::Notify;
use tokio::time::Instant;

/// One consumer, across its restarts.
#[derive(Debug)]
pub(crate) struct Consumption {
    name: String,
    topics: Vec<TopicName>,
    latest: Mutex<Latest>,
    abort: Notify,
}

#[derive(Debug)]
struct Latest {
    stats: Arc<Stats>,
    backlog: BTreeMap<TopicName, Backlog>,
    progress: u64,
    moved_at: Instant,
}

impl Consumption {
    pub(crate) fn new(name: &str, topics: Vec<TopicName>, stats: Arc<Stats>) -> Arc<Self> {
        let latest = Latest {
            stats,
            backlog: BTreeMap::new(),
            progress: 0,
            moved_at: Instant::now(),
        };
        Arc::new(Self {
            name: name.to_owned(),
            topics,
            latest: Mutex::new(latest),
            abort: Notify::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The counters of the consumer that runs now.
    pub(crate) fn stats(&self) -> Arc<Stats> {
        self.latest().stats.clone()
    }

    /// A consumer starts, with counters of its own.
    pub(crate) fn started(&self, stats: Arc<Stats>) {
        let mut latest = self.latest();
        latest.stats = stats;
        latest.moved_at = Instant::now();
    }

    /// Ends the run of the consumer that runs now, if one does.
    pub(crate) fn abort(&self) {
        self.abort.notify_waiters();
    }

    /// Waits until somebody wants the consumer's end.
    pub(crate) async fn aborted(&self) {
        self.abort.notified().await;
    }

    pub(crate) fn backlog(&self) -> BTreeMap<TopicName, Backlog> {
        self.latest().backlog.clone()
    }

    /// Asks the bus how much waits, and notes whether anything has moved since the last time.
    pub(crate) async fn sample(&self, bus: &EventBus) {
        let Ok(name) = SubscriptionName::new(&self.name) else {
            return;
        };
        for topic in &self.topics {
            match bus.backlog(topic, &name).await {
                Ok(backlog) => {
                    self.latest().backlog.insert(topic.clone(), backlog);
                }
                // Before the first subscription there is none; when the bus is away, its own check says so.
                Err(error) => {
                    tracing::debug!(consumer = self.name, %topic, %error, "the backlog is not known");
                }
            }
        }
        let mut latest = self.latest();
        let progress = progress(&latest.stats);
        let waiting = latest.backlog.values().any(|backlog| !backlog.is_drained());
        if progress != latest.progress || !waiting {
            latest.progress = progress;
            latest.moved_at = Instant::now();
        }
    }

    /// Stalled means: events wait, and for this long not one was settled or tried.
    pub(crate) fn check(&self, stall: Duration) -> anyhow::Result<()> {
        let latest = self.latest();
        let quiet = latest.moved_at.elapsed();
        if quiet < stall {
            return Ok(());
        }
        let waiting: u64 = latest
            .backlog
            .values()
            .map(|backlog| backlog.waiting + backlog.in_flight)
            .sum();
        anyhow::bail!(
            "stalled: {waiting} events wait and none was handled for {} s",
            quiet.as_secs()
        )
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rises with every event that is settled or tried, however it went.
fn progress(stats: &Stats) -> u64 {
    stats.handled()
        + stats.duplicates()
        + stats.ignored()
        + stats.retries()
        + stats.deferrals()
        + stats.dead_lettered()
}

#[cfg(test)]
mod tests {
    use commerce_event_bus::{Message, Subscription};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stalled_is_what_waits_and_does_not_move() {
        let bus = EventBus::memory();
        let topic = TopicName::new("orders").unwrap();
        let name = SubscriptionName::new("billing").unwrap();
        let consumption = Consumption::new("billing", vec![topic.clone()], Arc::default());
        let stall = Duration::from_mins(1);

        // Nothing waits: nothing is stalled, however long.
        let mut subscriber = bus
            .subscribe(Subscription::new(topic.clone(), name))
            .await
            .unwrap();
        tokio::time::sleep(stall * 2).await;
        consumption.sample(&bus).await;
        consumption.check(stall).unwrap();

        let event = commerce_contracts::CloudEvent::new("/test", "test.thing.happened.v1").unwrap();
        bus.publish(Message::new(topic, event)).await.unwrap();
        consumption.sample(&bus).await;
        consumption.check(stall).unwrap();
        tokio::time::sleep(stall).await;
        consumption.sample(&bus).await;
        let error = consumption.check(stall).unwrap_err().to_string();
        assert!(error.contains("1 events wait"), "{error}");

        subscriber
            .next()
            .await
            .unwrap()
            .unwrap()
            .ack()
            .await
            .unwrap();
        consumption.sample(&bus).await;
        consumption.check(stall).unwrap();
    }
}
