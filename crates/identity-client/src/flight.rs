//! At most one of something at a time, however many want it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// A fetch that many callers may want and one makes.
///
/// It runs in a task of its own: a caller that gives up does not take it away from the others.
#[derive(Debug)]
pub(crate) struct Flight {
    state: Mutex<State>,
    /// Ticks when a fetch has ended, well or not.
    ended: watch::Sender<()>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    running: bool,
    started: Option<Instant>,
    /// In a row, up to now.
    pub(crate) failures: u32,
}

impl State {
    /// Whether the last start is at least so long ago, or never was.
    pub(crate) fn rested(&self, pause: Duration) -> bool {
        self.started.is_none_or(|start| start.elapsed() >= pause)
    }
}

impl Flight {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            ended: watch::Sender::new(()),
        })
    }

    /// Completes on `changed()` when a fetch ends that had not ended at the time of this call.
    pub(crate) fn ended(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }

    pub(crate) fn failures(&self) -> u32 {
        self.state().failures
    }

    /// Sees to it that a fetch is running, where one is allowed now. Tells whether one is running.
    pub(crate) fn start<F>(
        self: &Arc<Self>,
        allowed: impl FnOnce(&State) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> bool
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let mut state = self.state();
        if state.running {
            return true;
        }
        if !allowed(&state) {
            return false;
        }
        state.running = true;
        state.started = Some(Instant::now());
        drop(state);
        let landing = Landing {
            flight: Arc::clone(self),
            succeeded: false,
        };
        tokio::spawn(landing.after(fetch()));
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock, and the state is valid at every point.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Announces the end of a fetch, even of one that panicked or was dropped with its runtime: nobody waits for nothing.
struct Landing {
    flight: Arc<Flight>,
    succeeded: bool,
}

impl Landing {
    async fn after(mut self, fetch: impl Future<Output = bool>) {
        self.succeeded = fetch.await;
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.flight.state();
        state.running = false;
        state.failures = if self.succeeded {
            0
        } else {
            state.failures.saturating_add(1)
        };
        drop(state);
        self.flight.ended.send_replace(());
    }
}

/// The pause after so many failures: doubles from `first` to `longest`.
pub(crate) fn pause_after(failures: u32, first: Duration, longest: Duration) -> Duration {
    first
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(longest)
}
