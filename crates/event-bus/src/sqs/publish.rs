//! Publishing: batches, one verdict for each message, the order of each key.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::call::{self, Outgoing};
use super::config::Topics;
use super::delayed::Delayed;
use super::fault::{Fault, Pauses};
use super::names::{group_of, hexadecimal};
use super::split::split;
use super::topology::{Queue, Topology};
use super::wire::{Value, Wire, encode};
use crate::error::{Error, ErrorKind, PublishError};
use crate::message::{Accepted, Message};
use crate::name::TopicName;

/// Rows of batches under way at the same time for one call; the messages of one key are in one row.
const ROWS: usize = 4;
/// Calls at the same time; others wait.
const CALLS: u32 = 256;

/// What became of a message.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Accepted,
    /// AWS does not have it.
    Failed(Fault),
    /// AWS may have it.
    Unknown(Fault),
}

/// Where a message goes.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Topic(Arc<str>),
    Queue(Queue),
}

/// Publishes and waits for the word of AWS.
pub(super) struct Publisher {
    topology: Arc<Topology>,
    delayed: Arc<Delayed>,
    calls: Semaphore,
    closing: AtomicBool,
}

impl Publisher {
    pub(super) fn new(topology: Arc<Topology>, delayed: Arc<Delayed>) -> Self {
        Self {
            topology,
            delayed,
            calls: Semaphore::new(CALLS as usize),
            closing: AtomicBool::new(false),
        }
    }

    /// Publishes messages; one result for each, in their order.
    pub(super) async fn publish(
        &self,
        messages: Vec<Message>,
    ) -> Vec<Result<Accepted, PublishError>> {
        let deadline = Instant::now() + self.topology.config.publish_timeout;
        let Ok(permit) = timeout_at(deadline, self.calls.acquire()).await else {
            let problem = "so many publishes wait for AWS that this one had no turn in time; publish again later";
            let error = || Error::new(ErrorKind::Timeout, "publish", problem);
            let refuse = |message| Err(PublishError::failed(message, error()));
            return messages.into_iter().map(refuse).collect();
        };
        if permit.is_err() || self.closing.load(Ordering::Acquire) {
            let refuse = |message| Err(PublishError::failed(message, super::closed("publish")));
            return messages.into_iter().map(refuse).collect();
        }
        let verdicts = self.verdicts(&messages, deadline).await;
        let each = messages.into_iter().zip(verdicts);
        each.map(|(message, verdict)| match verdict {
            Ok(Verdict::Accepted) => Ok(Accepted::new(None)),
            Ok(Verdict::Failed(fault)) => {
                Err(PublishError::failed(message, fault.error("publish")))
            }
            Ok(Verdict::Unknown(fault)) => {
                Err(PublishError::unknown(message, fault.error("publish")))
            }
            Err(error) => Err(PublishError::failed(message, error)),
        })
        .collect()
    }

    async fn verdicts(
        &self,
        messages: &[Message],
        deadline: Instant,
    ) -> Vec<Result<Verdict, Error>> {
        let now = self.topology.config.clock.now();
        // Places of messages by where they go; None is the queue of what comes later.
        let mut parts: BTreeMap<Option<&TopicName>, Vec<(usize, Outgoing)>> = BTreeMap::new();
        let mut verdicts: Vec<Result<Verdict, Error>> = Vec::with_capacity(messages.len());
        for (at, message) in messages.iter().enumerate() {
            let due = message.deliver_at.filter(|due| *due > now);
            let part = due.is_none().then_some(&message.topic);
            let wire = self.light_enough(message);
            let wire = wire.and_then(|()| encode(message, self.topology.config.max_message));
            let outgoing = wire.and_then(|wire| {
                let outgoing = outgoing(wire, message.key());
                match due {
                    Some(due) => self.delayed.put_off(outgoing, &message.topic, due, now),
                    None => Ok(outgoing),
                }
            });
            verdicts.push(match outgoing {
                Ok(outgoing) => {
                    parts.entry(part).or_default().push((at, outgoing));
                    Ok(Verdict::Unknown(Fault::unanswered()))
                }
                Err(error) => Err(error),
            });
        }
        let sent = parts.into_iter().map(|(topic, part)| async move {
            let (places, outgoing): (Vec<usize>, Vec<Outgoing>) = part.into_iter().unzip();
            let verdicts = match topic {
                Some(topic) => self.to_topic(topic, &outgoing, deadline).await,
                None => self.later(&outgoing, deadline).await,
            };
            places.into_iter().zip(verdicts)
        });
        for (at, verdict) in join_all(sent).await.into_iter().flatten() {
            verdicts[at] = Ok(verdict);
        }
        verdicts
    }

    fn light_enough(&self, message: &Message) -> Result<(), Error> {
        let (size, most) = (message.size(), self.topology.config.heaviest());
        if size <= most {
            return Ok(());
        }
        let problem = format!("the message is {size} bytes, and {most} are allowed (max_message)");
        Err(Error::new(ErrorKind::Message, "publish", problem))
    }

    async fn later(&self, outgoing: &[Outgoing], deadline: Instant) -> Vec<Verdict> {
        match timeout_at(deadline, self.delayed.queue(deadline)).await {
            Ok(Ok(queue)) => {
                let verdicts =
                    send(&self.topology, &Target::Queue(queue), outgoing, deadline).await;
                self.delayed.look();
                verdicts
            }
            Ok(Err(fault)) => vec![Verdict::Failed(fault); outgoing.len()],
            Err(_) => vec![Verdict::Failed(out_of_time()); outgoing.len()],
        }
    }

    /// Sends to a topic, whatever a topic is.
    pub(super) async fn to_topic(
        &self,
        topic: &TopicName,
        outgoing: &[Outgoing],
        deadline: Instant,
    ) -> Vec<Verdict> {
        let all = |verdict| vec![verdict; outgoing.len()];
        let targets = match timeout_at(deadline, self.targets(topic, deadline)).await {
            Ok(Ok(targets)) => targets,
            Ok(Err(fault)) => return all(Verdict::Failed(fault)),
            Err(_) => return all(Verdict::Failed(out_of_time())),
        };
        if targets.is_empty() && !self.topology.config.unrouted_ok.contains(topic) {
            let problem = format!(
                "topic {topic} has no subscription yet, and nothing keeps messages without one; subscribe first, or say with \
                 unrouted_ok={topic} in the URL that nobody needs it"
            );
            return all(Verdict::Failed(Fault::new(
                ErrorKind::NoSubscription,
                problem,
            )));
        }
        let each = targets
            .iter()
            .map(|target| send(&self.topology, target, outgoing, deadline));
        let verdicts = join_all(each).await.into_iter();
        let verdicts = verdicts.reduce(|all, more| all.into_iter().zip(more).map(both).collect());
        let verdicts = verdicts.unwrap_or_else(|| all(Verdict::Accepted));
        if verdicts.iter().any(|it| matches!(it, Verdict::Failed(fault) | Verdict::Unknown(fault) if fault.is_missing())) {
            // Deleted by somebody: the next publish finds out what there is now.
            self.topology.forget(topic);
        }
        verdicts
    }

    async fn targets(&self, topic: &TopicName, deadline: Instant) -> Result<Vec<Target>, Fault> {
        if self.topology.config.topics == Topics::None {
            let queues = self.topology.fanout(topic, deadline).await?;
            return Ok(queues.iter().cloned().map(Target::Queue).collect());
        }
        let arn = self.topology.topic(topic, deadline).await?;
        // SNS takes what nobody gets.
        if self.topology.config.unrouted_ok.contains(topic)
            || self.topology.is_heard(topic, &arn, deadline).await?
        {
            return Ok(vec![Target::Topic(arn)]);
        }
        Ok(Vec::new())
    }

    /// Takes no more messages, and waits for the word on those on their way.
    pub(super) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        self.closing.store(true, Ordering::Release);
        let all = timeout_at(deadline, self.calls.acquire_many(CALLS)).await;
        self.calls.close();
        all.map(drop).map_err(|_| {
            let problem = "some publishes were not answered in time";
            Error::new(ErrorKind::Timeout, "close", problem)
        })
    }
}

/// As it goes into queues and topics. The same bytes have the same deduplication id: published again within five minutes,
/// because nobody knows whether AWS has them, they are in a FIFO topic once.
pub(super) fn outgoing(wire: Wire, key: Option<&str>) -> Outgoing {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    };
    add(wire.body.as_bytes());
    for (name, value) in &wire.attributes {
        add(name.as_bytes());
        match value {
            Value::Text { text, .. } => add(text.as_bytes()),
            Value::Binary { bytes, .. } => add(bytes),
        }
    }
    Outgoing {
        deduplication: hexadecimal(&digest.finalize()),
        group: group_of(key),
        wire,
        delay: 0,
    }
}

/// Accepted by both, by neither, or by nobody knows how many.
fn both((one, other): (Verdict, Verdict)) -> Verdict {
    match (one, other) {
        (Verdict::Accepted, Verdict::Accepted) => Verdict::Accepted,
        (Verdict::Failed(fault), Verdict::Failed(_)) => Verdict::Failed(fault),
        (Verdict::Accepted, Verdict::Failed(fault) | Verdict::Unknown(fault))
        | (Verdict::Failed(fault), Verdict::Accepted | Verdict::Unknown(_))
        | (Verdict::Unknown(fault), _) => Verdict::Unknown(fault),
    }
}

/// Sends messages; one verdict for each. Those of one group go in their order, and when one of them does not get there,
/// those behind it are not sent: they would overtake it.
pub(super) async fn send(
    topology: &Topology,
    target: &Target,
    outgoing: &[Outgoing],
    deadline: Instant,
) -> Vec<Verdict> {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); ROWS];
    for (at, message) in outgoing.iter().enumerate() {
        rows[row_of(&message.group)].push(at);
    }
    let mut verdicts = vec![Verdict::Unknown(Fault::unanswered()); outgoing.len()];
    let sent = rows.into_iter().map(|row| async move {
        let sizes: Vec<usize> = row.iter().map(|at| outgoing[*at].wire.size()).collect();
        let mut broken = HashSet::new();
        let mut verdicts = Vec::with_capacity(row.len());
        for batch in split(&sizes, topology.config.max_message) {
            let batch: Vec<(usize, &Outgoing)> =
                row[batch].iter().map(|at| (*at, &outgoing[*at])).collect();
            verdicts.extend(send_batch(topology, target, &batch, &mut broken, deadline).await);
        }
        verdicts
    });
    for (at, verdict) in join_all(sent).await.into_iter().flatten() {
        verdicts[at] = verdict;
    }
    verdicts
}

pub(super) fn row_of(group: &str) -> usize {
    let sum = group.bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    sum % ROWS
}

async fn send_batch<'a>(
    topology: &Topology,
    target: &Target,
    batch: &[(usize, &'a Outgoing)],
    broken: &mut HashSet<&'a str>,
    deadline: Instant,
) -> Vec<(usize, Verdict)> {
    let mut verdicts = Vec::with_capacity(batch.len());
    let mut left = Vec::with_capacity(batch.len());
    for (at, message) in batch {
        if broken.contains(message.group.as_str()) {
            let problem =
                "an earlier message of its key was not accepted; publish again from that one on";
            verdicts.push((
                *at,
                Verdict::Failed(Fault::new(ErrorKind::Unavailable, problem)),
            ));
        } else {
            // Nobody knows of it yet, for certain.
            left.push((*at, *message, true));
        }
    }
    let mut pauses = Pauses::default();
    while !left.is_empty() {
        let messages: Vec<&Outgoing> = left.iter().map(|(_, message, _)| *message).collect();
        let answer = match target {
            Target::Topic(topic) => match &topology.sns {
                Some(sns) => call::publish(sns, topic, &messages, deadline).await,
                None => Err(Fault::new(ErrorKind::Backend, "there is no SNS")),
            },
            Target::Queue(queue) => call::send(topology, queue, &messages, deadline).await,
        };
        let results =
            answer.unwrap_or_else(|fault| messages.iter().map(|_| Err(fault.clone())).collect());
        let again_at = Instant::now() + pauses.next();
        let overtaken = overtaken(&messages, &results);
        let mut again = Vec::new();
        for ((left, result), overtaken) in left.into_iter().zip(results).zip(overtaken) {
            let (at, message, certain) = left;
            let Err(fault) = result else {
                verdicts.push((at, Verdict::Accepted));
                continue;
            };
            // AWS may have it from this attempt or from one before it.
            let certain = certain && fault.certain;
            // Sent again behind what was behind it, it would be accepted out of its order: its publisher is told instead.
            let in_order = !overtaken && !broken.contains(message.group.as_str());
            if fault.is_retryable() && again_at < deadline && in_order {
                again.push((at, message, certain));
                continue;
            }
            broken.insert(message.group.as_str());
            let verdict = if certain {
                Verdict::Failed
            } else {
                Verdict::Unknown
            };
            verdicts.push((at, verdict(fault)));
        }
        left = again;
        if !left.is_empty() {
            sleep_until(again_at).await;
        }
    }
    verdicts
}

/// Of each message whether one behind it, of its group, was accepted in the same request.
fn overtaken(messages: &[&Outgoing], results: &[Result<(), Fault>]) -> Vec<bool> {
    let mut accepted = HashSet::new();
    let from_behind = messages.iter().zip(results).rev().map(|(message, result)| {
        let overtaken = accepted.contains(message.group.as_str());
        if result.is_ok() {
            accepted.insert(message.group.as_str());
        }
        overtaken
    });
    let mut overtaken: Vec<bool> = from_behind.collect();
    overtaken.reverse();
    overtaken
}

fn out_of_time() -> Fault {
    Fault::new(ErrorKind::Timeout, "AWS did not answer in time")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(body: &str) -> Wire {
        Wire {
            body: body.to_owned(),
            ..Wire::default()
        }
    }

    #[test]
    fn the_same_message_has_the_same_deduplication_id_and_no_other_has() {
        let one = outgoing(wire("a"), Some("key"));
        assert_eq!(
            one.deduplication,
            outgoing(wire("a"), Some("key")).deduplication
        );
        assert_ne!(
            one.deduplication,
            outgoing(wire("b"), Some("key")).deduplication
        );
        let more = wire("a").with("x", "y".to_owned());
        assert_ne!(one.deduplication, outgoing(more, Some("key")).deduplication);
        assert_eq!(one.deduplication.len(), 64);
    }

    #[test]
    fn what_was_overtaken_in_its_group_is_known() {
        let rows = ["a", "b", "a", "b", "a"].map(|key| outgoing(wire(key), Some(key)));
        let messages: Vec<&Outgoing> = rows.iter().collect();
        let failed = || Err(Fault::unanswered());
        let results = [failed(), failed(), Ok(()), failed(), failed()];
        assert_eq!(
            overtaken(&messages, &results),
            [true, false, false, false, false]
        );
    }

    #[test]
    fn what_some_queues_have_is_unknown() {
        let failed = || Verdict::Failed(Fault::new(ErrorKind::Unavailable, "no"));
        let unknown = || Verdict::Unknown(Fault::unanswered());
        assert!(matches!(
            both((Verdict::Accepted, Verdict::Accepted)),
            Verdict::Accepted
        ));
        assert!(matches!(both((failed(), failed())), Verdict::Failed(_)));
        for pair in [
            (Verdict::Accepted, failed()),
            (failed(), Verdict::Accepted),
            (unknown(), Verdict::Accepted),
            (failed(), unknown()),
        ] {
            assert!(matches!(both(pair), Verdict::Unknown(_)));
        }
    }
}
