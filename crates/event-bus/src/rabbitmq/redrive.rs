//! Redriving: dead letters go to the queues of their subscription again, in their order per key.

use std::collections::HashMap;
use std::hash::Hash;

use bytes::Bytes;
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::ShortString;

use super::dead_letter::{DeadLetters, confirmed, original_headers, to};
use super::envelope::decode;
use super::publish::{Needs, Outgoing};
use super::topology::{Queues, ready};
use super::trail::Trail;
use super::{no_subscription, unavailable};
use crate::error::Error;
use crate::filter::Filter;
use crate::message::{Message, Undecodable};
use crate::name::{SubscriptionName, TopicName};

/// Redriven in one go.
const BATCH: usize = 100;

impl DeadLetters {
    /// Gives the oldest dead letters that the filter wants to the subscription's queues. Each is taken from the dead letters
    /// only when a queue has it; ended in between, it is in both.
    pub(super) async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "redrive";
        let failed = |error| unavailable(OPERATION, "the dead letters could not be read", error);
        let queues = Queues::of(OPERATION, topic, name)?;
        let channel = self.channel(OPERATION).await?;
        let there = ready(&channel, &queues.dead).await.map_err(failed)?;
        let there = there.ok_or_else(|| no_subscription(OPERATION, topic, name))?;
        // Those rejected again meanwhile are for the next redrive.
        let mut unseen = usize::try_from(there).unwrap_or(usize::MAX);
        let mut left = limit;
        let mut redriven = 0;
        let mut trouble = None;
        // The broker keeps what is not wanted; here its tag is enough.
        let mut kept = Returning::default();
        while left > 0 && unseen > 0 && trouble.is_none() {
            let taken = take(&channel, &queues.dead, left.min(unseen).min(BATCH))
                .await
                .map_err(failed)?;
            if taken.is_empty() {
                break;
            }
            unseen -= taken.len();
            let mut wanted = Vec::with_capacity(taken.len());
            let mut staying = Vec::new();
            for message in taken {
                let body = Bytes::copy_from_slice(&message.data);
                let decoded = decode(topic, &message.properties, &body);
                let matches = |message: &Message| filter.matches(&message.event);
                if filter.is_empty() || decoded.as_ref().is_ok_and(matches) {
                    wanted.push((key_of(decoded), message));
                } else {
                    staying.push(message);
                }
            }
            left -= wanted.len();
            let again = self.give_again(&queues, wanted).await;
            redriven += again.given;
            trouble = again.trouble;
            staying.extend(again.staying);
            staying.sort_by_key(|message| message.delivery_tag);
            kept.add(&mut staying);
        }
        let remaining = u64::from(there).saturating_sub(redriven);
        let back = self.put_back(&channel, &queues.dead, kept, remaining).await;
        let _ = channel.close(200, ShortString::from("redriven")).await;
        match trouble {
            Some(error) => Err(stopped(error, redriven)),
            None => back.map(|()| redriven).map_err(failed),
        }
    }

    /// What was taken and stays dead goes back in its order; returns when it counts again.
    async fn put_back(
        &self,
        channel: &Channel,
        queue: &ShortString,
        kept: Returning,
        remaining: u64,
    ) -> lapin::Result<()> {
        if kept.tags.is_empty() {
            return Ok(());
        }
        kept.give_back(channel, queue).await?;
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
        self.await_ready(channel, queue, remaining).await
    }

    /// To the entry of the subscription, which knows the queue of the key. Of each key one at a time is on its way, so
    /// that none passes one that is not taken; after the first trouble nothing more is sent.
    async fn give_again(
        &self,
        queues: &Queues,
        letters: Vec<(Option<Bytes>, BasicGetMessage)>,
    ) -> Again {
        const OPERATION: &str = "redrive";
        let mut again = Again::default();
        for round in rounds(letters) {
            if again.trouble.is_some() {
                again.staying.extend(round);
                continue;
            }
            let outgoing: Vec<Outgoing> = round
                .iter()
                .map(|message| redriven(queues, message))
                .collect();
            let needs = Needs::default();
            let verdicts = self.publisher.send(OPERATION, &needs, &outgoing).await;
            // All that are in a queue leave the dead letters, also when one before them is not.
            for (message, verdict) in round.into_iter().zip(verdicts) {
                if let Err(error) = confirmed(OPERATION, verdict) {
                    again.trouble.get_or_insert(error);
                    again.staying.push(message);
                    continue;
                }
                match message.acker.ack(BasicAckOptions::default()).await {
                    Ok(_) => again.given += 1,
                    // The channel is gone, which gives it back.
                    Err(error) => {
                        let problem = "a dead letter is in its queue again and stays here too";
                        let error = unavailable(OPERATION, problem, error);
                        again.trouble.get_or_insert(error);
                    }
                }
            }
        }
        again
    }
}

/// What became of dead letters that were given to their subscription again.
#[derive(Debug, Default)]
struct Again {
    /// Those that a queue has and the dead letters no more.
    given: u64,
    /// Those that stay dead: no queue is known to have them.
    staying: Vec<BasicGetMessage>,
    /// Why not all were given.
    trouble: Option<Error>,
}

/// Parts a sequence so that of each key there is one in a part, and the earlier is in an earlier part. What has no key
/// has no order to keep: all of it is in the first.
fn rounds<K: Eq + Hash, T>(sequence: impl IntoIterator<Item = (Option<K>, T)>) -> Vec<Vec<T>> {
    let mut rounds: Vec<Vec<T>> = Vec::new();
    let mut of_key: HashMap<K, usize> = HashMap::new();
    for (key, one) in sequence {
        let round = key.map_or(0, |key| {
            let next = of_key.entry(key).or_default();
            *next += 1;
            *next - 1
        });
        match rounds.get_mut(round) {
            Some(round) => round.push(one),
            // At most one further than there are.
            None => rounds.push(vec![one]),
        }
    }
    rounds
}

fn key_of(decoded: Result<Message, Undecodable>) -> Option<Bytes> {
    match decoded {
        Ok(message) => message
            .key()
            .map(|key| Bytes::copy_from_slice(key.as_bytes())),
        Err(undecodable) => undecodable.key,
    }
}

/// A dead letter as it goes out again: its attempts begin again, the rest of its trail is kept.
fn redriven(queues: &Queues, letter: &BasicGetMessage) -> Outgoing {
    let properties = &letter.properties;
    let mut headers = original_headers(properties);
    let before = properties.headers().as_ref().map(Trail::read);
    let trail = Trail {
        attempts: 0,
        ..before.unwrap_or_default()
    };
    trail.write(&mut headers);
    let body = Bytes::copy_from_slice(&letter.data);
    let routing_key = ShortString::default();
    to(&queues.entry, &routing_key, properties, headers, body)
}

fn stopped(error: Error, redriven: u64) -> Error {
    let problem = format!(
        "{redriven} dead letters went to their queues again, and then one was not confirmed; it and the rest stay dead, \
         in their order: redrive again once this is mended: {error}"
    );
    Error::new(error.kind(), "redrive", problem)
        .with_retryable(error.is_retryable())
        .with_source(error)
}

/// Messages that were taken and go back, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Returning {
    tags: Vec<u64>,
    /// The last of them was never taken before.
    ends_fresh: bool,
}

impl Returning {
    pub(super) fn of(taken: &mut Vec<BasicGetMessage>) -> Self {
        let mut returning = Self::default();
        returning.add(taken);
        returning
    }

    fn add(&mut self, taken: &mut Vec<BasicGetMessage>) {
        for message in taken.drain(..) {
            self.ends_fresh = !message.redelivered;
            self.tags.push(message.delivery_tag);
        }
    }

    /// What goes back to a quorum queue goes behind what went back before, and both go before the rest. So all that went
    /// back before is taken too, and then everything goes back in its order.
    pub(super) async fn give_back(
        mut self,
        channel: &Channel,
        queue: &ShortString,
    ) -> lapin::Result<()> {
        while !self.tags.is_empty() && !self.ends_fresh {
            let mut next = take(channel, queue, 1).await?;
            if next.is_empty() {
                break;
            }
            self.add(&mut next);
        }
        let one = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        for tag in self.tags {
            channel.basic_nack(tag, one).await?;
        }
        Ok(())
    }
}

/// The oldest messages of a queue, as many as there are.
pub(super) async fn take(
    channel: &Channel,
    queue: &ShortString,
    limit: usize,
) -> lapin::Result<Vec<BasicGetMessage>> {
    let mut taken = Vec::new();
    while taken.len() < limit {
        match channel
            .basic_get(queue.clone(), BasicGetOptions::default())
            .await?
        {
            Some(message) => taken.push(message),
            None => break,
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn of_each_key_one_goes_after_the_other_and_the_rest_at_once() {
        let letters = [
            (Some("a"), 1),
            (None, 2),
            (Some("a"), 3),
            (Some("b"), 4),
            (Some("a"), 5),
            (None, 6),
            (Some("b"), 7),
        ];
        assert_eq!(rounds(letters), [vec![1, 2, 4, 6], vec![3, 7], vec![5]]);
        assert!(rounds::<&str, u64>([]).is_empty());
    }

    #[test]
    fn a_redrive_that_stopped_says_how_far_it_came_and_what_to_do() {
        let cause = || Error::new(ErrorKind::Unavailable, "redrive", "a queue refused it");
        let error = stopped(cause(), 7);
        assert!(error.kind() == ErrorKind::Unavailable && error.is_retryable());
        for part in ["7 dead letters", "redrive again", "a queue refused it"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(!stopped(cause().with_retryable(false), 0).is_retryable());
    }
}
