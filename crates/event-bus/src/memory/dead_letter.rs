//! Dead letters: read, give back, forget.

use super::Shared;
use crate::dead_letter::DeadLetter;
use crate::error::Error;
use crate::name::{SubscriptionName, TopicName};

/// The oldest dead letters.
pub(super) fn list(
    shared: &Shared,
    topic: &TopicName,
    name: &SubscriptionName,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let mut state = shared.state();
    state.group("dead_letters", topic, name)?;
    let Some(found) = state.topics.get(topic) else {
        return Ok(Vec::new());
    };
    let Some(group) = found.groups.get(name) else {
        return Ok(Vec::new());
    };
    let letters = group.dead().take(limit).filter_map(|(sequence, dead)| {
        // A dead letter is unsettled, and an unsettled message is in the log.
        let message = found.log.get(&sequence)?.message.clone();
        Some(DeadLetter::new(
            topic.clone(),
            name.clone(),
            Ok(message),
            sequence.to_string(),
            dead.attempts(),
            dead.reason.clone(),
            dead.rejected_at,
        ))
    });
    Ok(letters.collect())
}

/// Gives the oldest dead letters to the subscription again.
pub(super) fn redrive(
    shared: &Shared,
    topic: &TopicName,
    name: &SubscriptionName,
    limit: usize,
) -> Result<u64, Error> {
    let mut state = shared.state();
    let group = state.group("redrive", topic, name)?;
    let count = group.redrive(limit);
    group.changed.notify_waiters();
    Ok(count)
}

/// Forgets the dead letters, and makes room.
pub(super) fn purge(
    shared: &Shared,
    topic: &TopicName,
    name: &SubscriptionName,
) -> Result<u64, Error> {
    let mut state = shared.state();
    let purged = state.group("purge_dead_letters", topic, name)?.purge();
    for sequence in &purged {
        state.done(topic, *sequence);
    }
    drop(state);
    shared.settled.notify_waiters();
    Ok(purged.len() as u64)
}
