//! What the demo throws at the platform, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use commerce_event_bus::EventBus;
use commerce_resilient_client::Client;
use serde_json::json;

use super::crash::Crasher;
use super::duplicating::Duplicating;
use crate::assembly::Surroundings;

/// Every so many messages one is published twice.
const DUPLICATE_EVERY: u64 = 8;
const OUTAGE: Duration = Duration::from_secs(5);
/// So many handlers are struck down in the middle.
const CRASHES: u32 = 3;

/// Faults that are injected around the services.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    crasher: Crasher,
    duplicated: Arc<std::sync::OnceLock<Arc<AtomicU64>>>,
    outage: bool,
}

impl Faults {
    /// What goes around bus and handlers.
    pub(crate) fn surroundings(&self) -> Surroundings {
        let crasher = self.crasher.clone();
        let duplicated = self.duplicated.clone();
        Surroundings {
            bus: Some(Box::new(move |bus: EventBus| {
                let duplicating = Duplicating::new(bus.backend().clone(), DUPLICATE_EVERY);
                // Set once: a platform has one bus.
                let _first = duplicated.set(duplicating.duplicated());
                EventBus::new(Arc::new(duplicating))
            })),
            handlers: Some(Box::new(move |consumer, inner| {
                crasher.around(consumer, inner)
            })),
        }
    }

    /// The provider is slow, breaks now and then, repeats and reorders its webhooks, and rejects one payment in twenty.
    pub(crate) async fn begin(&self, provider: &Client) -> anyhow::Result<()> {
        self.set(provider, Duration::ZERO).await
    }

    /// The provider goes away, and consumers that wait for it crash.
    pub(crate) async fn strike(&mut self, provider: &Client) -> anyhow::Result<()> {
        self.outage = true;
        self.crasher.arm(CRASHES);
        self.set(provider, OUTAGE).await
    }

    async fn set(&self, provider: &Client, outage: Duration) -> anyhow::Result<()> {
        let faults = json!({
            "latency_ms": 5,
            "error_rate": 0.04,
            "outage_ms": outage.as_millis(),
            "duplicate_rate": 0.1,
            "reorder_rate": 0.1,
            "reject_rate": 0.05,
        });
        provider
            .follow("faults")
            .put(&faults)
            .send::<serde_json::Value>()
            .await?;
        Ok(())
    }

    /// What was thrown, in words.
    pub(crate) fn told(&self) -> Vec<String> {
        let duplicated = self
            .duplicated
            .get()
            .map_or(0, |count| count.load(Ordering::Relaxed));
        let mut told = vec![
            format!("{duplicated} messages published twice and late"),
            "webhooks duplicated and reordered (10 % each)".into(),
            "4 % of the provider's answers were 500, half of them after the charge".into(),
            "5 % of payments rejected".into(),
        ];
        if self.outage {
            told.push(format!("provider out for {} s", OUTAGE.as_secs()));
            told.push(format!(
                "{} handlers crashed in the middle",
                self.crasher.crashed()
            ));
        }
        told
    }
}
