//! What the demo throws at the platform, when, and how much of it hit.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use commerce_event_bus::EventBus;
use commerce_resilient_client::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::crash::{Crasher, VICTIM};
use super::duplicating::Duplicating;
use super::stage::Stage;
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
    consumers_aborted: AtomicU32,
}

/// What the provider counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProviderFaults {
    /// Answers that were 500.
    pub(crate) errors: u64,
    /// Requests refused while it was away.
    pub(crate) refused_during_outage: u64,
    /// Webhooks delivered twice.
    pub(crate) webhooks_duplicated: u64,
    /// Webhooks about a beginning that came after the end.
    pub(crate) webhooks_reordered: u64,
    /// Charges that it rejected.
    pub(crate) charges_rejected: u64,
}

/// What happened, counted where it happened, since this process was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Thrown {
    /// Messages published twice, the second time late.
    pub(crate) messages_duplicated: u64,
    /// Handlers that crashed in the middle.
    pub(crate) handlers_crashed: u32,
    /// Consumers that ended as a whole and started anew.
    pub(crate) consumers_aborted: u32,
    /// Their handlers that were in the middle of something.
    pub(crate) handlers_cut_off: u32,
    /// What the provider did.
    #[serde(flatten)]
    pub(crate) provider: ProviderFaults,
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
        set(provider, Duration::ZERO).await
    }

    /// The provider goes away while somebody waits for it; meanwhile a consumer ends as a whole, and handlers of its
    /// successor crash. Where nobody waits for the provider until all is `over`, that is left undone.
    pub(crate) async fn strike(
        &self,
        stage: &Stage,
        provider: &Client,
        over: &AtomicBool,
    ) -> anyhow::Result<()> {
        self.somebody_waits(over).await;
        set(provider, OUTAGE).await?;
        if self.somebody_waits(over).await && stage.abort_consumer(VICTIM) {
            self.consumers_aborted.fetch_add(1, Ordering::SeqCst);
        }
        self.crasher.arm(CRASHES);
        Ok(())
    }

    async fn somebody_waits(&self, over: &AtomicBool) -> bool {
        while self.crasher.inside() == 0 && !over.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.crasher.inside() > 0
    }

    /// What has happened so far.
    pub(crate) async fn thrown(&self, provider: &Client) -> anyhow::Result<Thrown> {
        let counts = provider.follow("fault-counts").get::<ProviderFaults>();
        let duplicated = self.duplicated.get();
        Ok(Thrown {
            messages_duplicated: duplicated.map_or(0, |count| count.load(Ordering::Relaxed)),
            handlers_crashed: self.crasher.crashed(),
            consumers_aborted: self.consumers_aborted.load(Ordering::SeqCst),
            handlers_cut_off: self.crasher.cut_off(),
            provider: counts.await?.into_data(),
        })
    }
}

async fn set(provider: &Client, outage: Duration) -> anyhow::Result<()> {
    let faults = json!({
        "latency_ms": 5,
        "error_rate": 0.04,
        "outage_ms": outage.as_millis(),
        "duplicate_rate": 0.1,
        "reorder_rate": 0.1,
        "reject_rate": 0.05,
    });
    let set = provider.follow("faults").put(&faults);
    set.send::<serde_json::Value>().await?;
    Ok(())
}

impl Display for Thrown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let provider = &self.provider;
        write!(
            f,
            "{} messages published twice and late; {} webhooks delivered twice, {} late; {} answers of the provider were \
             500, {} requests refused while it was out for {} s, {} payments rejected; {} handlers crashed in the middle, \
             {} consumer ended with {} under way and started anew",
            self.messages_duplicated,
            provider.webhooks_duplicated,
            provider.webhooks_reordered,
            provider.errors,
            provider.refused_during_outage,
            OUTAGE.as_secs(),
            provider.charges_rejected,
            self.handlers_crashed,
            self.consumers_aborted,
            self.handlers_cut_off,
        )
    }
}
