//! What is published at a time: one entry of each lane.

use std::collections::HashSet;

use commerce_event_bus::{EventBus, Message};
use tokio::time::sleep_until;

use super::entries::Entry;
use super::lease::Lease;
use crate::failure::Failure;

/// What came of publishing one wave.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) confirmed: Vec<i64>,
    pub(super) confirmed_lanes: Vec<String>,
    /// The lanes whose entry was refused, and whether trying again may help.
    pub(super) refused: Vec<(String, bool)>,
}

impl Outcome {
    /// Nothing was taken, and everything might be taken later: no lane is to blame.
    pub(super) fn is_bus_down(&self) -> bool {
        self.confirmed.is_empty() && self.refused.iter().all(|(_, retryable)| *retryable)
    }
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

/// Publishes entries of different lanes, and keeps the lease meanwhile.
pub(super) async fn publish(bus: &EventBus, wave: Vec<Entry>, lease: &mut Lease) -> Outcome {
    let mut outcome = Outcome::default();
    let mut sent = Vec::with_capacity(wave.len());
    let mut messages: Vec<Message> = Vec::with_capacity(wave.len());
    for entry in wave {
        match entry.message {
            Ok(message) => {
                messages.push(message);
                sent.push((entry.position, entry.lane));
            }
            Err(reason) => {
                let position = entry.position;
                tracing::error!(
                    position,
                    reason,
                    "an outbox entry cannot be read and holds its key back"
                );
                outcome.refused.push((entry.lane, false));
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
    for (position, lane) in sent {
        match results.next() {
            Some(Ok(_)) => {
                outcome.confirmed.push(position);
                outcome.confirmed_lanes.push(lane);
            }
            Some(Err(error)) if error.is_retryable() => {
                first_error.get_or_insert(error);
                outcome.refused.push((lane, true));
            }
            Some(Err(error)) => {
                tracing::error!(position, %error, "an outbox entry is refused and holds its key back");
                outcome.refused.push((lane, false));
            }
            None => outcome.refused.push((lane, true)),
        }
    }
    // One line for all of them: when the bus is down they all say the same.
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
