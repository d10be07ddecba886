//! Crashes handlers in the middle, as often as it was told to, and knows which ones were cut off by others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use commerce_consumer_framework::{Call, Failure};
use commerce_host::Handle;
use tower::util::BoxCloneSyncService;
use tower::{Service as _, ServiceExt as _, service_fn};

/// Payments call the provider: their handlers take long enough to be in the middle of something.
pub(crate) const VICTIM: &str = "payments";
/// How long a handler runs before it is struck down.
const INTO_THE_HANDLER: Duration = Duration::from_millis(2);

/// Strikes down handlers; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crasher {
    armed: Arc<AtomicU32>,
    crashed: Arc<AtomicU32>,
    inside: Arc<AtomicU32>,
    cut_off: Arc<AtomicU32>,
}

impl Crasher {
    /// The next so many handlers that take longer than a moment do not end.
    pub(crate) fn arm(&self, times: u32) {
        self.armed.store(times, Ordering::SeqCst);
    }

    /// How many were struck down.
    pub(crate) fn crashed(&self) -> u32 {
        self.crashed.load(Ordering::SeqCst)
    }

    /// How many are in the middle of something now.
    pub(crate) fn inside(&self) -> u32 {
        self.inside.load(Ordering::SeqCst)
    }

    /// How many did not end because what ran them did.
    pub(crate) fn cut_off(&self) -> u32 {
        self.cut_off.load(Ordering::SeqCst)
    }

    /// Goes around the handlers of the consumer of this name.
    pub(crate) fn around(&self, consumer: &str, inner: Handle) -> Handle {
        if consumer != VICTIM {
            return inner;
        }
        let crasher = self.clone();
        BoxCloneSyncService::new(service_fn(move |call: Call| {
            let (crasher, inner) = (crasher.clone(), inner.clone());
            async move { crasher.handle(inner, call).await }
        }))
    }

    async fn handle(&self, mut inner: Handle, call: Call) -> Result<(), Failure> {
        let mut presence = Presence::of(self);
        let mut handled = inner.ready().await?.call(call);
        if self.armed.load(Ordering::SeqCst) > 0 {
            tokio::select! {
                biased;
                outcome = &mut handled => {
                    presence.ended = true;
                    return outcome;
                }
                () = tokio::time::sleep(INTO_THE_HANDLER) => {}
            }
            let takes_one = |armed: u32| armed.checked_sub(1);
            if self
                .armed
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, takes_one)
                .is_ok()
            {
                presence.ended = true;
                self.crashed.fetch_add(1, Ordering::SeqCst);
                // A panic without the hook's noise; the handler's future is dropped where it stands.
                std::panic::resume_unwind(Box::new("the demo crashed this handler"));
            }
        }
        let outcome = handled.await;
        presence.ended = true;
        outcome
    }
}

/// A handler that runs; dropped before its end, it was cut off.
struct Presence<'a> {
    crasher: &'a Crasher,
    ended: bool,
}

impl<'a> Presence<'a> {
    fn of(crasher: &'a Crasher) -> Self {
        crasher.inside.fetch_add(1, Ordering::SeqCst);
        Self {
            crasher,
            ended: false,
        }
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.crasher.inside.fetch_sub(1, Ordering::SeqCst);
        if !self.ended {
            self.crasher.cut_off.fetch_add(1, Ordering::SeqCst);
        }
    }
}
