//! Handlers that write down what they did, and when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use commerce_consumer_framework::{Consumer, Event, Failure, State};
use commerce_event_bus::EventBus;
use tokio::time::Instant;

use crate::shop::Sold;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What handlers did, and when.
#[derive(Clone)]
pub(crate) struct Log {
    start: Instant,
    lines: Arc<Mutex<Vec<(String, u32, Duration)>>>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            lines: Arc::default(),
        }
    }

    pub(crate) fn note(&self, event: &Sold) {
        self.lines
            .lock()
            .unwrap()
            .push((event.item.clone(), event.number, self.start.elapsed()));
    }

    pub(crate) fn numbers(&self, item: &str) -> Vec<u32> {
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .filter(|(of, ..)| of == item)
            .map(|(_, number, _)| *number)
            .collect()
    }

    pub(crate) fn times(&self, item: &str) -> Vec<Duration> {
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .filter(|(of, ..)| of == item)
            .map(|(.., at)| *at)
            .collect()
    }
}

/// A consumer called `stock`.
pub(crate) fn consumer<S: Clone + Send + Sync + 'static>(bus: &EventBus, state: S) -> Consumer<S> {
    Consumer::new("stock", bus.clone()).state(state)
}

/// Fails for items that are called `bad…`, notes the others.
pub(crate) async fn strict(event: Event<Sold>, State(log): State<Log>) -> Result<(), Failure> {
    log.note(&event);
    if event.item.starts_with("bad") {
        return Err(Failure::retry(format!("no {}", event.item)));
    }
    Ok(())
}
