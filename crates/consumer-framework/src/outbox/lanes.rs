//! Lanes whose next entry could not be published, and when each is tried again.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// More lanes than this are not told apart: the bus as a whole is then taken to be down.
const MOST: usize = 128;

/// Lanes that wait because their head failed.
pub(super) struct Lanes {
    backoff: Backoff,
    waiting: HashMap<String, Waiting>,
}

struct Waiting {
    failures: u32,
    until: Instant,
}

impl Lanes {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            waiting: HashMap::new(),
        }
    }

    /// The lanes to leave out now.
    pub(super) fn blocked(&self, now: Instant) -> Vec<&str> {
        let blocked = self.waiting.iter().filter(|(_, lane)| lane.until > now);
        blocked.map(|(name, _)| name.as_str()).collect()
    }

    /// When the next lane may be tried again.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let due = self.waiting.values().map(|lane| lane.until);
        due.filter(|until| *until > now).min()
    }

    /// Puts a lane aside; false when there are too many to tell another one apart.
    pub(super) fn failed(&mut self, lane: &str, now: Instant) -> bool {
        if !self.waiting.contains_key(lane) {
            if self.waiting.len() >= MOST {
                return false;
            }
            let free = Waiting {
                failures: 0,
                until: now,
            };
            self.waiting.insert(lane.to_owned(), free);
        }
        if let Some(lane) = self.waiting.get_mut(lane) {
            lane.failures = lane.failures.saturating_add(1);
            lane.until = now + self.backoff.pause(lane.failures);
        }
        true
    }

    pub(super) fn succeeded(&mut self, lane: &str) {
        self.waiting.remove(lane);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lane_waits_longer_after_each_failure_and_is_free_after_a_success() {
        let second = Duration::from_secs(1);
        let mut lanes = Lanes::new(Backoff::exponential(second, second * 8));
        let start = Instant::now();
        lanes.failed("a", start);
        assert_eq!(lanes.blocked(start), ["a"]);
        let due = lanes.next_due(start).unwrap();
        assert!(due >= start + second && due <= start + second * 2);
        assert!(lanes.blocked(due).is_empty() && lanes.next_due(due).is_none());
        lanes.failed("a", due);
        assert!(lanes.next_due(due).unwrap() >= due + second * 2);
        lanes.succeeded("a");
        lanes.failed("a", due);
        assert!(lanes.next_due(due).unwrap() <= due + second * 2);
    }
}
