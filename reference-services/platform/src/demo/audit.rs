//! Listens to every topic, as an auditor would, and remembers what happened to each order and when.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use chrono::{DateTime, Utc};
use commerce_contracts::Event as _;
use commerce_contracts::commerce::{OrderCreated, OrderReceived, PreparationRequested};
use commerce_event_bus::{EventBus, Message, Subscription, SubscriptionName, TopicName};
use commerce_host::Shutdown;
use uuid::Uuid;

use super::journal::{Entry, Journal};
use super::timeline::{Step, Timeline};

/// The topics of the platform.
pub(crate) const TOPICS: [&str; 3] = ["orders", "payments", "notifications"];

/// The subscription, the same in every process of a run: what one had not heard when it died the next one hears.
const NAME: &str = "audit";
/// Beyond the lease of what a process that died had not acknowledged.
const CATCH_UP_WITHIN: Duration = Duration::from_mins(1);

/// What the auditor has seen so far; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    name: SubscriptionName,
    seen: Arc<Mutex<Seen>>,
    journal: Arc<Journal>,
}

#[derive(Debug, Default)]
struct Seen {
    ids: HashSet<(String, String)>,
    steps: HashMap<Uuid, Vec<Step>>,
    paid: usize,
}

impl Audit {
    /// Subscribes to every topic under a name of its own, so that it takes nothing from anybody, and goes on where the
    /// journal in `folder` ends; returns once it is subscribed.
    pub(crate) async fn start(
        bus: &EventBus,
        shutdown: &Shutdown,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let name = SubscriptionName::new(NAME)?;
        let (journal, known) = Journal::open(folder).await?;
        let audit = Self {
            name: name.clone(),
            seen: Arc::default(),
            journal: Arc::new(journal),
        };
        for entry in known {
            audit.seen().remember(entry);
        }
        for topic in TOPICS {
            let mut subscriber = bus
                .subscribe(Subscription::new(TopicName::new(topic)?, name.clone()))
                .await?;
            let (audit, stop) = (audit.clone(), shutdown.clone());
            tokio::spawn(async move {
                loop {
                    let next = tokio::select! {
                        next = subscriber.next() => next,
                        () = stop.requested() => break,
                    };
                    match next {
                        Ok(Some(delivery)) => {
                            if let Err(error) = audit.record(delivery.message()).await {
                                tracing::error!(topic, %error, "the auditor cannot write; it will see the event again");
                                tokio::time::sleep(Duration::from_millis(200)).await;
                                continue;
                            }
                            // Beside the next one, so that the bus can settle many at once.
                            tokio::spawn(async move {
                                if let Err(error) = delivery.ack().await {
                                    tracing::debug!(topic, %error, "the auditor will see an event again");
                                }
                            });
                        }
                        Ok(None) => break,
                        Err(error) => {
                            tracing::warn!(topic, %error, "the auditor lost the bus for a moment");
                            tokio::time::sleep(Duration::from_millis(200)).await;
                        }
                    }
                }
                subscriber.close().await;
            });
        }
        Ok(audit)
    }

    async fn record(&self, message: &Message) -> anyhow::Result<()> {
        let event = message.event();
        let Some(order_id) = event.key().and_then(|key| Uuid::parse_str(key).ok()) else {
            return Ok(());
        };
        let entry = Entry {
            order_id,
            step: Step {
                id: event.id().to_owned(),
                caused_by: event.causation_id().map(str::to_owned),
                source: event.source().to_owned(),
                event_type: event.event_type().to_owned(),
                time: event.time().unwrap_or_else(Utc::now),
                transaction_id: event.transaction_id().map(str::to_owned),
            },
        };
        if !self.seen().knows(&entry) {
            self.journal.add(&entry).await?;
            self.seen().remember(entry);
        }
        Ok(())
    }

    /// How often the preparation of each order was requested. The same event twice is one request.
    pub(crate) fn prepared(&self) -> HashMap<Uuid, usize> {
        let mut prepared = HashMap::new();
        for (order_id, steps) in &self.seen().steps {
            let requests = steps
                .iter()
                .filter(|step| step.event_type == PreparationRequested::TYPE)
                .count();
            if requests > 0 {
                prepared.insert(*order_id, requests);
            }
        }
        prepared
    }

    /// From creation to payment, for each order that was paid.
    pub(crate) fn latencies(&self) -> Vec<Duration> {
        self.seen()
            .steps
            .values()
            .filter_map(|steps| latency(steps))
            .collect()
    }

    /// Waits until no event is before it any more.
    ///
    /// # Errors
    /// When that takes too long: what it has heard is then not all there is.
    pub(crate) async fn catch_up(&self, bus: &EventBus) -> anyhow::Result<()> {
        let deadline = Instant::now() + CATCH_UP_WITHIN;
        for topic in TOPICS {
            let name = TopicName::new(topic)?;
            while !bus.backlog(&name, &self.name).await?.is_drained() {
                if Instant::now() > deadline {
                    bail!(
                        "events on topic {topic} did not reach the auditor within {CATCH_UP_WITHIN:?}"
                    );
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// How many orders were paid.
    pub(crate) fn paid(&self) -> usize {
        self.seen().paid
    }

    /// The story of the paid order that took longest: the one that has most to tell.
    pub(crate) fn timeline(&self) -> Option<Timeline> {
        let seen = self.seen();
        let (order_id, steps) = seen
            .steps
            .iter()
            .filter_map(|(order_id, steps)| Some((latency(steps)?, order_id, steps)))
            .max_by_key(|(latency, ..)| *latency)
            .map(|(_, order_id, steps)| (order_id, steps))?;
        Some(Timeline::of(*order_id, steps.clone()))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn knows(&self, entry: &Entry) -> bool {
        let id = (entry.step.source.clone(), entry.step.id.clone());
        self.ids.contains(&id)
    }

    fn remember(&mut self, Entry { order_id, step }: Entry) {
        if self.ids.insert((step.source.clone(), step.id.clone())) {
            self.paid += usize::from(step.event_type == OrderReceived::TYPE);
            self.steps.entry(order_id).or_default().push(step);
        }
    }
}

fn latency(steps: &[Step]) -> Option<Duration> {
    let at = |event_type: &str| -> Option<DateTime<Utc>> {
        steps
            .iter()
            .find(|step| step.event_type == event_type)
            .map(|step| step.time)
    };
    (at(OrderReceived::TYPE)? - at(OrderCreated::TYPE)?)
        .to_std()
        .ok()
}
