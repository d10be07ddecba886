//! What is published at a time: one entry of each lane.

use std::collections::{BTreeMap, HashSet};

use commerce_event_bus::{EventBus, Message};
use tokio::time::sleep_until;

use super::entries::Entry;
use super::lease::Lease;
use crate::failure::Failure;

/// What came of publishing.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) confirmed: Vec<Sent>,
    pub(super) refused: Vec<(Sent, Refusal)>,
}

/// An entry that was tried.
pub(super) struct Sent {
    pub(super) position: i64,
    pub(super) topic: String,
    pub(super) lane: String,
}

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It may be taken later, as it is.
    Later,
    /// The bus does not want this message.
    Never,
    /// It cannot be read, and never got as far as the bus.
    Unreadable,
}

/// Takes the first entry of each lane out of the page. Two entries of a lane are never in one batch:
/// the bus may accept the second and refuse the first.
pub(super) fn first_of_each_lane(page: &mut Vec<Entry>) -> Vec<Entry> {
    let mut seen = HashSet::new();
    let (mut wave, mut rest) = (Vec::new(), Vec::new());
    for entry in page.drain(..) {
        if seen.insert(entry.lane.clone()) {
            wave.push(entry);
        } else {
            rest.push(entry);
        }
    }
    *page = rest;
    wave
}

/// Parts a wave into batches: topics that are `suspect` each by themselves, after all the others.
pub(super) fn into_batches(
    wave: Vec<Entry>,
    suspect: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Vec<Entry>> {
    let mut trusted = Vec::new();
    let mut suspects: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in wave {
        if suspect(&entry.topic) {
            suspects.entry(entry.topic.clone()).or_default().push(entry);
        } else {
            trusted.push(entry);
        }
    }
    let batches = std::iter::once(trusted).chain(suspects.into_values());
    batches.filter(|batch| !batch.is_empty())
}

/// Publishes entries of different lanes, and keeps the lease meanwhile.
pub(super) async fn publish(bus: &EventBus, batch: Vec<Entry>, lease: &mut Lease) -> Outcome {
    let mut outcome = Outcome::default();
    let mut sent = Vec::with_capacity(batch.len());
    let mut messages: Vec<Message> = Vec::with_capacity(batch.len());
    for entry in batch {
        let tried = Sent {
            position: entry.position,
            topic: entry.topic,
            lane: entry.lane,
        };
        match entry.message {
            Ok(message) => {
                messages.push(message);
                sent.push(tried);
            }
            Err(reason) => {
                let position = entry.position;
                tracing::error!(
                    position,
                    reason,
                    "an outbox entry cannot be read and holds its key back"
                );
                outcome.refused.push((tried, Refusal::Unreadable));
            }
        }
    }
    let publishing = bus.publish_batch(messages);
    tokio::pin!(publishing);
    let results = loop {
        tokio::select! {
            results = &mut publishing => break results,
            () = sleep_until(lease.renew_at()) => {
                // What comes of it is seen at the next renewal; the batch is on its way either way.
                if let Err(error) = lease.take().await {
                    tracing::warn!(error = Failure::from(error).reason(), "lease not renewed");
                }
            }
        }
    };
    let mut results = results.into_iter();
    let mut first_error = None;
    for tried in sent {
        match results.next() {
            Some(Ok(_)) => outcome.confirmed.push(tried),
            Some(Err(error)) if error.is_retryable() => {
                first_error.get_or_insert(error);
                outcome.refused.push((tried, Refusal::Later));
            }
            Some(Err(error)) => {
                let position = tried.position;
                tracing::error!(position, %error, "an outbox entry is refused and holds its key back");
                outcome.refused.push((tried, Refusal::Never));
            }
            None => outcome.refused.push((tried, Refusal::Later)),
        }
    }
    // One line for all of them: when a topic or the bus is down they all say the same.
    if let Some(error) = first_error {
        tracing::warn!(
            entries = outcome.refused.len(),
            confirmed = outcome.confirmed.len(),
            %error,
            "outbox entries were not accepted and are published again"
        );
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspects_are_tried_apart_and_after_the_others() {
        let entry = |topic: &str, lane: &str| Entry {
            position: 0,
            topic: topic.to_owned(),
            lane: lane.to_owned(),
            message: Err("never sent".to_owned()),
        };
        let wave = vec![
            entry("bad", "1"),
            entry("good", "2"),
            entry("worse", "3"),
            entry("bad", "4"),
            entry("fine", "5"),
        ];
        let batches = into_batches(wave, |topic| matches!(topic, "bad" | "worse"));
        let lanes: Vec<Vec<String>> = batches
            .map(|batch| batch.into_iter().map(|entry| entry.lane).collect())
            .collect();
        assert_eq!(lanes, [vec!["2", "5"], vec!["1", "4"], vec!["3"]]);
    }
}
