//! What was refused and is left alone for a while: single lanes, or whole topics.
//!
//! A bus may refuse one message (too large), one key (its partition has no leader), one topic (nobody subscribes to it
//! yet), or everything. Only what was refused may wait for it: a relay that read the same oldest entries again and again
//! would starve the topics and keys behind them. A bus that is down is no case of its own: every topic is set aside.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::wave::{Outcome, Refusal};
use crate::backoff::Backoff;

/// More lanes than this are not told apart: the next one sets its whole topic aside. It bounds the memory, and the length
/// of the query that leaves lanes out.
const MOST: usize = 1024;

/// When so many lanes of a topic wait and none gets through, it is the topic that is refused, and not a few of its keys.
const SUSPICIOUS: usize = 8;

/// Lanes and topics that wait because the bus refused them.
pub(super) struct Aside {
    backoff: Backoff,
    lanes: HashMap<String, Lane>,
    topics: HashMap<String, Pause>,
}

struct Lane {
    topic: String,
    pause: Pause,
}

#[derive(Clone, Copy)]
struct Pause {
    failures: u32,
    until: Instant,
}

/// What to leave out of the next read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Without<'a> {
    pub(super) topics: Vec<&'a str>,
    pub(super) lanes: Vec<&'a str>,
}

impl Aside {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            lanes: HashMap::new(),
            topics: HashMap::new(),
        }
    }

    /// What to leave out now.
    pub(super) fn without(&self, now: Instant) -> Without<'_> {
        let topics = self.topics.keys().map(String::as_str);
        let lanes = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.pause.until > now && !self.is_topic_waiting(&lane.topic, now));
        Without {
            topics: topics
                .filter(|topic| self.is_topic_waiting(topic, now))
                .collect(),
            lanes: lanes.map(|(name, _)| name.as_str()).collect(),
        }
    }

    /// When the next of what waits may be tried again.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let lanes = self.lanes.values().map(|lane| lane.pause.until);
        let topics = self.topics.values().map(|pause| pause.until);
        lanes.chain(topics).filter(|until| *until > now).min()
    }

    /// Whether a topic was refused when it was last tried. It is then tried apart from the others: a bus may refuse a
    /// whole batch for the sake of one topic in it.
    pub(super) fn is_suspect(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Whether a topic waits.
    pub(super) fn is_topic_waiting(&self, topic: &str, now: Instant) -> bool {
        let pause = self.topics.get(topic);
        pause.is_some_and(|pause| pause.until > now)
    }

    /// Takes in what came of publishing.
    pub(super) fn learn(&mut self, outcome: &Outcome, now: Instant) {
        for entry in &outcome.confirmed {
            self.lanes.remove(&entry.lane);
            self.topics.remove(&entry.topic);
        }
        let refused = outcome.refused.iter();
        let topics: HashSet<&str> = refused.map(|(entry, _)| entry.topic.as_str()).collect();
        for topic in topics {
            let of_topic = outcome
                .refused
                .iter()
                .filter(|(entry, _)| entry.topic == topic);
            if self.is_wholly_refused(topic, outcome) {
                // It stands for those lanes; they are tried together with it.
                for (entry, refusal) in of_topic {
                    if *refusal == Refusal::Later {
                        self.lanes.remove(&entry.lane);
                    }
                }
                self.topic_failed(topic, now);
            } else {
                let mut no_room = false;
                for (entry, _) in of_topic {
                    no_room |= !self.lane_failed(&entry.lane, topic, now);
                }
                if no_room {
                    self.topic_failed(topic, now);
                }
            }
        }
    }

    /// Nothing of the topic was taken, all of it might be taken later, and it is more than the bad luck of a few keys.
    fn is_wholly_refused(&self, topic: &str, outcome: &Outcome) -> bool {
        let mut refused_now = HashSet::new();
        for (entry, refusal) in &outcome.refused {
            match refusal {
                Refusal::Later if entry.topic == topic => {
                    refused_now.insert(entry.lane.as_str());
                }
                // The bus listens to this topic, and judges what it hears.
                Refusal::Never if entry.topic == topic => return false,
                Refusal::Later | Refusal::Never | Refusal::Unreadable => {}
            }
        }
        if refused_now.is_empty() || outcome.confirmed.iter().any(|entry| entry.topic == topic) {
            return false;
        }
        let waiting = self
            .lanes
            .iter()
            .filter(|(name, lane)| lane.topic == topic && !refused_now.contains(name.as_str()));
        self.is_suspect(topic) || waiting.count() + refused_now.len() >= SUSPICIOUS
    }

    /// False when there are too many lanes to tell another one apart.
    fn lane_failed(&mut self, lane: &str, topic: &str, now: Instant) -> bool {
        if !self.lanes.contains_key(lane) && self.lanes.len() >= MOST {
            return false;
        }
        let lane = self.lanes.entry(lane.to_owned()).or_insert_with(|| Lane {
            topic: topic.to_owned(),
            pause: Pause::none(now),
        });
        lane.pause.failed(self.backoff, now);
        true
    }

    fn topic_failed(&mut self, topic: &str, now: Instant) {
        let pause = self.topics.entry(topic.to_owned());
        let pause = pause.or_insert_with(|| Pause::none(now));
        pause.failed(self.backoff, now);
    }
}

impl Pause {
    fn none(now: Instant) -> Self {
        Self {
            failures: 0,
            until: now,
        }
    }

    fn failed(&mut self, backoff: Backoff, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.until = now + backoff.pause(self.failures);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::wave::Sent;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn aside() -> Aside {
        Aside::new(Backoff::exponential(SECOND, SECOND * 8))
    }

    fn sent(topic: &str, key: usize) -> Sent {
        Sent {
            position: 0,
            topic: topic.to_owned(),
            lane: format!("{topic}/{key}"),
        }
    }

    /// So many lanes of a topic, all refused in the same way.
    fn refused(topic: &str, keys: usize, refusal: Refusal) -> Outcome {
        Outcome {
            confirmed: Vec::new(),
            refused: (0..keys).map(|key| (sent(topic, key), refusal)).collect(),
        }
    }

    fn confirmed(topic: &str, key: usize) -> Outcome {
        Outcome {
            confirmed: vec![sent(topic, key)],
            refused: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_waits_longer_after_each_failure_and_is_free_after_a_success() {
        let mut aside = aside();
        let start = Instant::now();
        aside.learn(&refused("orders", 1, Refusal::Never), start);
        assert_eq!(aside.without(start).lanes, ["orders/0"]);
        assert!(aside.without(start).topics.is_empty());
        let due = aside.next_due(start).unwrap();
        assert!(due >= start + SECOND && due <= start + SECOND * 2);
        assert_eq!(aside.without(due), Without::default());
        assert!(aside.next_due(due).is_none());
        aside.learn(&refused("orders", 1, Refusal::Never), due);
        assert!(aside.next_due(due).unwrap() >= due + SECOND * 2);
        aside.learn(&confirmed("orders", 0), due);
        aside.learn(&refused("orders", 1, Refusal::Never), due);
        assert!(aside.next_due(due).unwrap() <= due + SECOND * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_that_is_refused_as_a_whole_waits_as_a_whole() {
        let mut aside = aside();
        let now = Instant::now();
        aside.learn(&refused("orders", SUSPICIOUS, Refusal::Later), now);
        let without = aside.without(now);
        assert_eq!((without.topics, without.lanes.len()), (vec!["orders"], 0));
        let due = aside.next_due(now).unwrap();
        assert!(due >= now + SECOND && due <= now + SECOND * 2);
        // Free to be tried, by itself; and one lane's refusal is enough now.
        assert!(aside.is_suspect("orders") && !aside.is_topic_waiting("orders", due));
        aside.learn(&refused("orders", 1, Refusal::Later), due);
        assert!(aside.is_topic_waiting("orders", due + SECOND * 2 - SECOND / 2));
        aside.learn(&confirmed("orders", 0), due);
        assert!(!aside.is_suspect("orders") && aside.next_due(due).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_lanes_that_fail_hold_back_themselves_until_they_add_up() {
        let mut aside = aside();
        let now = Instant::now();
        aside.learn(&refused("orders", SUSPICIOUS - 1, Refusal::Later), now);
        assert!(!aside.is_suspect("orders"));
        assert_eq!(aside.without(now).lanes.len(), SUSPICIOUS - 1);
        let mut one_more = refused("orders", SUSPICIOUS, Refusal::Later);
        one_more.refused.drain(..SUSPICIOUS - 1);
        aside.learn(&one_more, now);
        assert_eq!(aside.without(now).topics, ["orders"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_of_which_something_was_judged_or_taken_is_not_refused() {
        let now = Instant::now();
        let many = || refused("orders", 4 * SUSPICIOUS, Refusal::Later);
        let mut judged = many();
        judged.refused[3].1 = Refusal::Never;
        let mut taken = many();
        taken.confirmed.push(sent("orders", usize::MAX));
        for outcome in [judged, taken] {
            let mut aside = aside();
            aside.learn(&outcome, now);
            assert!(!aside.is_suspect("orders"));
            assert_eq!(aside.without(now).lanes.len(), 4 * SUSPICIOUS);
        }
        // What cannot be read was never shown to the bus.
        let mut unreadable = many();
        unreadable.refused[3].1 = Refusal::Unreadable;
        let mut aside = aside();
        aside.learn(&unreadable, now);
        assert_eq!(aside.without(now).topics, ["orders"]);
    }

    #[tokio::test(start_paused = true)]
    async fn more_lanes_than_are_told_apart_set_their_topic_aside_and_no_other() {
        let mut aside = aside();
        let now = Instant::now();
        aside.learn(&refused("orders", MOST, Refusal::Never), now);
        assert_eq!(aside.without(now).lanes.len(), MOST);
        aside.learn(&refused("payments", 1, Refusal::Never), now);
        assert_eq!(aside.without(now).topics, ["payments"]);
        assert!(!aside.is_suspect("orders"));
    }
}
