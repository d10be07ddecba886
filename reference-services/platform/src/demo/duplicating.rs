//! A bus that publishes some messages twice, the second time late: what a publisher does that lost a confirm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use commerce_event_bus::{Accepted, Backend, Decorator, Message, PublishError};
use tokio::sync::Mutex;

/// Publishes every n-th message again after later ones: duplicated, and out of the order of its key.
#[derive(Debug)]
pub(crate) struct Duplicating {
    inner: Arc<dyn Backend>,
    every: u64,
    published: AtomicU64,
    duplicated: Arc<AtomicU64>,
    late: Mutex<Vec<Message>>,
}

impl Duplicating {
    /// Duplicates every n-th message of what goes to `inner`.
    pub(crate) fn new(inner: Arc<dyn Backend>, every: u64) -> Self {
        Self {
            inner,
            every: every.max(1),
            published: AtomicU64::new(0),
            duplicated: Arc::default(),
            late: Mutex::default(),
        }
    }

    /// How many messages were published twice.
    pub(crate) fn duplicated(&self) -> Arc<AtomicU64> {
        self.duplicated.clone()
    }
}

#[async_trait]
impl Decorator for Duplicating {
    fn inner(&self) -> &dyn Backend {
        self.inner.as_ref()
    }

    async fn publish(&self, mut messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        let asked = messages.len();
        let again: Vec<Message> = {
            let mut late = self.late.lock().await;
            let again = std::mem::take(&mut *late);
            late.extend(
                messages
                    .iter()
                    .filter(|_| {
                        (self.published.fetch_add(1, Ordering::Relaxed) + 1)
                            .is_multiple_of(self.every)
                    })
                    .cloned(),
            );
            again
        };
        let duplicates = again.len();
        messages.extend(again);
        let mut results = self.inner.publish(messages).await;
        let accepted = results
            .iter()
            .skip(asked)
            .filter(|result| result.is_ok())
            .count()
            .min(duplicates);
        self.duplicated
            .fetch_add(accepted as u64, Ordering::Relaxed);
        results.truncate(asked);
        results
    }
}
