//! How often an event was deferred: the bus counts a deferral as an attempt, we do not.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use commerce_event_bus::Delivery;

use super::Verdict;

/// An entry of an event that goes on elsewhere is never removed by its own verdict. When there are
/// this many, one gives way; its event's deferrals then count as attempts.
const MOST: usize = 65_536;

/// Topic, source and id of an event.
type Key = (String, String, String);

#[derive(Debug, Default)]
pub(super) struct Deferrals {
    counts: Mutex<HashMap<Key, u32>>,
}

impl Deferrals {
    /// Which attempt this is, deferrals not counted.
    pub(super) fn attempts(&self, delivery: &Delivery) -> u32 {
        let counts = self.counts();
        if counts.is_empty() {
            return delivery.attempt();
        }
        let deferred = counts.get(&key(delivery)).copied().unwrap_or(0);
        delivery.attempt().saturating_sub(deferred).max(1)
    }

    /// Takes note of a verdict before it is settled.
    pub(super) fn note(&self, delivery: &Delivery, verdict: &Verdict) {
        let mut counts = self.counts();
        match verdict {
            Verdict::Defer { .. } => {
                let key = key(delivery);
                if counts.len() >= MOST && !counts.contains_key(&key) {
                    let any = counts.keys().next().cloned();
                    any.and_then(|any| counts.remove(&any));
                }
                *counts.entry(key).or_default() += 1;
            }
            Verdict::Retry { .. } => {}
            _ if counts.is_empty() => {}
            _ => {
                counts.remove(&key(delivery));
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Key, u32>> {
        // Every change is one operation: a poisoned map is a sound map.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(delivery: &Delivery) -> Key {
    let message = delivery.message();
    (
        message.topic.as_str().to_owned(),
        message.event.source().to_owned(),
        message.event.id().to_owned(),
    )
}
