//! What must be asked for, not counted: how much waits on the bus and in the outboxes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use commerce_consumer_framework::outbox;
use commerce_consumer_framework::storage::Database;
use commerce_event_bus::EventBus;

use super::metrics::Metrics;
use crate::health::consumption::Consumption;
use crate::shutdown::Shutdown;

const INTERVAL: Duration = Duration::from_secs(5);
/// A database or bus that does not answer must not stop the watch over the others.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much an outbox holds, and for how long already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lag {
    pub(crate) waiting: u64,
    pub(crate) seconds: f64,
}

/// The latest look at each outbox, by name of its database.
pub(crate) type Lags = Arc<Mutex<BTreeMap<String, Lag>>>;

/// Looks at bus and outboxes every few seconds until shutdown, for the metrics and for readiness.
pub(crate) async fn watch(
    bus: EventBus,
    consumptions: Vec<Arc<Consumption>>,
    outboxes: Vec<(String, Database)>,
    metrics: Metrics,
    shutdown: Shutdown,
) {
    let lags = Lags::default();
    for consumption in &consumptions {
        metrics.observe_consumption(consumption);
    }
    if !outboxes.is_empty() {
        metrics.observe_outboxes(&lags);
    }
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.requested() => return,
        }
        for consumption in &consumptions {
            // Late is as good as unknown: the last figures stay.
            let _ = tokio::time::timeout(PATIENCE, consumption.sample(&bus)).await;
        }
        for (name, database) in &outboxes {
            match tokio::time::timeout(PATIENCE, outbox::backlog(database)).await {
                Ok(Ok(backlog)) => {
                    let seconds = backlog.oldest.map_or(0.0, |oldest| {
                        (Utc::now() - oldest)
                            .to_std()
                            .unwrap_or_default()
                            .as_secs_f64()
                    });
                    let lag = Lag {
                        waiting: backlog.waiting,
                        seconds,
                    };
                    lags.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(name.clone(), lag);
                }
                Ok(Err(error)) => {
                    tracing::debug!(database = name, %error, "the outbox cannot be read");
                }
                Err(_) => tracing::debug!(database = name, "the outbox cannot be read in time"),
            }
        }
    }
}
