//! Listens to every topic, as an auditor would, and remembers what happened to each order and when.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use commerce_contracts::Event as _;
use commerce_contracts::commerce::{OrderCreated, OrderReceived};
use commerce_event_bus::{EventBus, Message, Subscription, SubscriptionName, TopicName};
use commerce_host::Shutdown;
use uuid::Uuid;

use super::timeline::{Step, Timeline};

/// The topics of the platform.
pub(crate) const TOPICS: [&str; 3] = ["orders", "payments", "notifications"];

const CATCH_UP_WITHIN: Duration = Duration::from_secs(10);

/// What the auditor has seen so far; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    name: SubscriptionName,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    ids: HashSet<(String, String)>,
    steps: HashMap<Uuid, Vec<Step>>,
    paid: usize,
}

impl Audit {
    /// Subscribes to every topic under a name of its own, so that it takes nothing from anybody; returns once it
    /// is subscribed.
    pub(crate) async fn start(bus: &EventBus, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let name = SubscriptionName::new(format!("audit-{}", Uuid::now_v7().simple()))?;
        let audit = Self {
            name: name.clone(),
            seen: Arc::default(),
        };
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
                            audit.record(delivery.message());
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

    fn record(&self, message: &Message) {
        let event = message.event();
        let Some(order_id) = event.key().and_then(|key| Uuid::parse_str(key).ok()) else {
            return;
        };
        let mut seen = self.seen();
        if !seen
            .ids
            .insert((event.source().to_owned(), event.id().to_owned()))
        {
            return;
        }
        seen.paid += usize::from(event.event_type() == OrderReceived::TYPE);
        seen.steps.entry(order_id).or_default().push(Step {
            id: event.id().to_owned(),
            caused_by: event.causation_id().map(str::to_owned),
            source: event.source().to_owned(),
            event_type: event.event_type().to_owned(),
            time: event.time().unwrap_or_else(Utc::now),
            transaction_id: event.transaction_id().map(str::to_owned),
        });
    }

    /// From creation to payment, for each order that was paid.
    pub(crate) fn latencies(&self) -> Vec<Duration> {
        self.seen()
            .steps
            .values()
            .filter_map(|steps| latency(steps))
            .collect()
    }

    /// Waits a little for events that are still before it.
    pub(crate) async fn catch_up(&self, bus: &EventBus) {
        let deadline = Instant::now() + CATCH_UP_WITHIN;
        for topic in TOPICS {
            let Ok(topic) = TopicName::new(topic) else {
                continue;
            };
            while Instant::now() < deadline {
                match bus.backlog(&topic, &self.name).await {
                    Ok(backlog) if !backlog.is_drained() => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    _ => break,
                }
            }
        }
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
