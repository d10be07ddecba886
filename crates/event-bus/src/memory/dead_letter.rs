//! Dead letters: read, give back, forget.

use super::Shared;
use crate::dead_letter::DeadLetter;
use crate::error::Error;
use crate::filter::Filter;
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
        Some(
            DeadLetter::new(
                topic.clone(),
                name.clone(),
                Ok(message),
                sequence.to_string(),
            )
            .with_attempts(dead.attempts())
            .with_reasons(dead.reasons().to_vec())
            .with_times(dead.first_failed_at(), dead.rejected_at),
        )
    });
    Ok(letters.collect())
}

/// Gives the oldest dead letters to the subscription again.
pub(super) fn redrive(
    shared: &Shared,
    topic: &TopicName,
    name: &SubscriptionName,
    limit: usize,
    filter: &Filter,
) -> Result<u64, Error> {
    let mut state = shared.state();
    state.group("redrive", topic, name)?;
    let Some(found) = state.topics.get_mut(topic) else {
        return Ok(0);
    };
    let Some(group) = found.groups.get_mut(name) else {
        return Ok(0);
    };
    let wanted = |sequence: &u64| {
        let entry = found.log.get(sequence);
        entry.is_some_and(|entry| filter.matches(&entry.message.event))
    };
    let letters: Vec<u64> = group
        .dead()
        .map(|(sequence, _)| sequence)
        .filter(wanted)
        .take(limit)
        .collect();
    group.redrive(&letters);
    group.changed.notify_waiters();
    Ok(letters.len() as u64)
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
