//! What is remembered about each origin: its circuit and its retry budget.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use url::Url;

use crate::{
    breaker::{BreakerPolicy, Circuit},
    retry::{RetryBudget, RetryPolicy},
};

/// Links lead anywhere; more origins than this are not remembered at once.
const MOST_ORIGINS: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) circuit: Circuit,
    pub(crate) budget: RetryBudget,
}

#[derive(Debug)]
pub(crate) struct Origins {
    breaker: BreakerPolicy,
    retry: RetryPolicy,
    known: Mutex<HashMap<String, Arc<Origin>>>,
}

/// Scheme, host and port: what credentials and circuits belong to.
pub(crate) fn name(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl Origins {
    pub(crate) fn new(breaker: BreakerPolicy, retry: RetryPolicy) -> Self {
        Self {
            breaker,
            retry,
            known: Mutex::default(),
        }
    }

    pub(crate) fn of(&self, name: &str) -> Arc<Origin> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = known.get(name) {
            return Arc::clone(origin);
        }
        if known.len() >= MOST_ORIGINS {
            // Forgetting is safe for those that nobody uses now and that have no failures to remember.
            known.retain(|_, origin| Arc::strong_count(origin) > 1 || !origin.circuit.is_idle());
        }
        let origin = Arc::new(Origin {
            circuit: Circuit::new(self.breaker),
            budget: RetryBudget::new(&self.retry),
        });
        known.insert(name.to_owned(), Arc::clone(&origin));
        origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthy_origins_are_forgotten_failing_ones_kept() {
        let origins = Origins::new(BreakerPolicy::default(), RetryPolicy::default());
        let _ = origins
            .of("https://failing.example")
            .circuit
            .admit()
            .unwrap()
            .settle(true);
        for n in 0..2 * MOST_ORIGINS {
            origins.of(&format!("https://{n}.example"));
        }
        let known = origins.known.lock().unwrap();
        assert!(known.len() <= MOST_ORIGINS);
        assert!(known.contains_key("https://failing.example"));
    }
}
