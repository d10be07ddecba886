//! The entry point's links, kept for a while.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use url::Url;

use crate::links::Links;

/// A document's links and the address they are seen from.
#[derive(Clone, Debug)]
pub(crate) struct Linked {
    pub(crate) base: Url,
    pub(crate) links: Arc<Links>,
}

#[derive(Debug)]
pub(crate) struct EntryMemory {
    kept_for: Duration,
    kept: Mutex<Option<(Instant, Linked)>>,
}

impl EntryMemory {
    pub(crate) fn new(kept_for: Duration) -> Self {
        Self {
            kept_for,
            kept: Mutex::new(None),
        }
    }

    pub(crate) fn recall(&self) -> Option<Linked> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref()
            .filter(|(since, _)| since.elapsed() < self.kept_for)
            .map(|(_, linked)| linked.clone())
    }

    pub(crate) fn keep(&self, linked: &Linked) {
        if !self.kept_for.is_zero() {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((Instant::now(), linked.clone()));
        }
    }

    pub(crate) fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
