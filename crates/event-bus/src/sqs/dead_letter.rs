//! Dead letters: a queue per subscription, FIFO where the subscription is.
//!
//! A letter is the message as it was, with what is known of its end beside it. In a FIFO queue each has a group to itself,
//! so that all can be read at once: their order is in what is known of them. What SQS itself moves there, because a message
//! was received too often, has nothing beside it and keeps its group.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;

use super::call::{Outgoing, Parcel, receive};
use super::changes::Changes;
use super::desk::HandedOut;
use super::fault::{Fault, insist};
use super::history::{History, time};
use super::member::Member;
use super::names::{group_of, hash, is_keyless};
use super::oldest::Oldest;
use super::publish::{Target, Verdict, send};
use super::split::ENTRIES;
use super::topology::{Queue, Topology};
use super::wire::{HISTORY, Wire, decode};
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::name::{SubscriptionName, TopicName};

/// How long a look keeps letters from others.
const VISIBILITY: i32 = 120;
/// Letters of one look; of more, the oldest of those are taken.
const MOST: usize = 20_000;
/// What the letters that are kept of one look may weigh.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How long a look takes letters: while it deals with them, they stay with it.
const LOOK: Duration = Duration::from_secs(90);
/// How long each of its requests waits: a request that does not wait asks some of SQS's servers, and misses letters.
const WAIT: Duration = Duration::from_secs(1);
/// The reason of a letter that SQS wrote.
const TOO_OFTEN: &str =
    "received too often: SQS gave it up after max_receives deliveries without a verdict";

/// Keeps, reads and gives back dead letters.
pub(super) struct DeadLetters {
    pub(super) topology: Arc<Topology>,
}

/// A letter that was received.
#[derive(Debug)]
struct Letter {
    parcel: Parcel,
    history: History,
}

/// What a look brought.
#[derive(Debug)]
struct Taken {
    /// The oldest that were asked for, in their order.
    chosen: Vec<Letter>,
    /// The receipt handles of all others.
    others: Vec<String>,
}

impl DeadLetters {
    /// Keeps a rejected message; returns when SQS has it.
    pub(super) async fn bury(
        &self,
        member: &Member,
        held: &HandedOut,
        reason: &str,
    ) -> Result<(), Error> {
        let parcel = &held.item.parcel;
        let (topic, name) = (&member.subscription.topic, &member.subscription.name);
        let now = Utc::now().timestamp_micros();
        let before = History::of(&parcel.wire);
        let first_received = parcel
            .first_received
            .map(|millis| millis.saturating_mul(1000));
        let history = History {
            topic: topic.to_string(),
            subscription: name.to_string(),
            position: parcel.id.clone(),
            group: parcel.group.clone(),
            attempts: held.attempt,
            // The first attempt failed when it was made, as far as SQS tells, unless this is the first.
            first_failed_at: match &before {
                Some(before) => before.first_failed_at,
                None => first_received.filter(|_| held.attempt > 1).unwrap_or(now),
            },
            order: match &before {
                Some(before) => before.order,
                None => (parcel.sent.unwrap_or(now / 1000), now),
            },
            reasons: before.map(|before| before.reasons).unwrap_or_default(),
            rejected_at: now,
        };
        let history = history.rejected(reason, now);
        let letter = Outgoing {
            // The same rejection, asked for again because nobody answered, is one letter.
            deduplication: hash(parcel.handle.as_bytes()),
            group: group_of(None),
            wire: with_history(&parcel.wire, &history, self.topology.config.max_message),
            delay: 0,
        };
        let dead = &member.queues.dead;
        let sent = self.send(dead, letter.clone()).await;
        let sent = match sent {
            Err(fault) if fault.is_missing() => {
                // Somebody deleted the queue: it is made again, rather than the key stopped.
                self.topology.forget(topic);
                match self.topology.dead(topic, name, dead.fifo).await {
                    Ok(dead) => self.send(&dead, letter).await,
                    Err(fault) => Err(fault),
                }
            }
            sent => sent,
        };
        sent.map_err(|fault| match fault.error("settle") {
            error if error.kind() == ErrorKind::Message => {
                let problem = format!(
                    "SQS takes no dead letter of it with what is known of its end ({error}): raise MaximumMessageSize of the \
                     subscription's queues if it is too small, or leave it, and SQS moves it there as it is after max_receives \
                     deliveries"
                );
                Error::new(ErrorKind::Message, "settle", problem).with_source(error)
            }
            error => error,
        })
    }

    async fn send(&self, queue: &Queue, letter: Outgoing) -> Result<(), Fault> {
        let deadline = Instant::now() + self.topology.config.request_timeout;
        let target = Target::Queue(queue.clone());
        match send(&self.topology, &target, &[letter], deadline)
            .await
            .pop()
        {
            Some(Verdict::Accepted) => Ok(()),
            Some(Verdict::Failed(fault) | Verdict::Unknown(fault)) => Err(fault),
            None => Err(Fault::unanswered()),
        }
    }

    /// The oldest dead letters. They are taken and given back, so a look at the same time sees others.
    pub(super) async fn list(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        const OPERATION: &str = "dead_letters";
        let queues = self.topology.find(OPERATION, topic, name).await?;
        let changes = Changes::of(Arc::clone(&self.topology), queues.dead.clone());
        let taken = self
            .take(&queues.dead, &changes, limit, |_| true)
            .await
            .map_err(|fault| fault.error(OPERATION))?;
        changes.make_visible(taken.others);
        let letters = taken.chosen.into_iter().map(|letter| {
            let read = opened(topic, name, &letter);
            changes.make_visible([letter.parcel.handle]);
            read
        });
        let letters = letters.collect();
        changes.flush().await;
        Ok(letters)
    }

    /// Gives the oldest dead letters that the filter wants to the subscription's queue. Each is taken from the dead
    /// letters only when the queue has it; ended in between, it is in both.
    pub(super) async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "redrive";
        if limit == 0 {
            return Ok(0);
        }
        let queues = self.topology.find(OPERATION, topic, name).await?;
        let changes = Changes::of(Arc::clone(&self.topology), queues.dead.clone());
        let wanted = |letter: &Letter| match decode(topic, &letter.parcel.wire, None) {
            Ok(message) => filter.matches(&message.event),
            Err(_) => filter.is_empty(),
        };
        let taken = self
            .take(&queues.dead, &changes, limit, wanted)
            .await
            .map_err(|fault| fault.error(OPERATION))?;
        changes.make_visible(taken.others);
        let outcome = self.send_again(&queues.main, &changes, taken.chosen).await;
        changes.flush().await;
        outcome.map_err(|fault| fault.error(OPERATION))
    }

    async fn send_again(
        &self,
        main: &Queue,
        changes: &Changes,
        chosen: Vec<Letter>,
    ) -> Result<u64, Fault> {
        let target = Target::Queue(main.clone());
        let mut redriven = 0;
        let mut rest = chosen.into_iter();
        loop {
            let batch: Vec<Letter> = rest.by_ref().take(ENTRIES).collect();
            if batch.is_empty() {
                return Ok(redriven);
            }
            let most = self.topology.config.max_message;
            let again: Vec<Outgoing> = batch
                .iter()
                .map(|letter| redriven_message(letter, most))
                .collect();
            let deadline = Instant::now() + self.topology.config.request_timeout;
            let verdicts = send(&self.topology, &target, &again, deadline).await;
            let mut failure = None;
            for (letter, verdict) in batch.into_iter().zip(verdicts) {
                let handle = letter.parcel.handle;
                let fault = match verdict {
                    Verdict::Accepted => changes.delete(handle).await.err(),
                    Verdict::Failed(fault) | Verdict::Unknown(fault) => {
                        changes.make_visible([handle]);
                        Some(fault)
                    }
                };
                match fault {
                    None => redriven += 1,
                    Some(fault) => failure = Some(fault),
                }
            }
            if let Some(fault) = failure {
                changes.make_visible(rest.map(|letter| letter.parcel.handle));
                return Err(fault);
            }
        }
    }

    /// Forgets all dead letters.
    pub(super) async fn purge(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "purge_dead_letters";
        let failed = |fault: Fault| fault.error(OPERATION);
        let queues = self.topology.find(OPERATION, topic, name).await?;
        let changes = Changes::of(Arc::clone(&self.topology), queues.dead.clone());
        let taken = self.take(&queues.dead, &changes, 0, |_| false);
        let taken = taken.await.map_err(failed)?;
        let deletions = taken
            .others
            .into_iter()
            .map(|handle| changes.delete(handle));
        let mut purged = 0;
        for deleted in futures_util::future::join_all(deletions).await {
            deleted.map_err(failed)?;
            purged += 1;
        }
        Ok(purged)
    }

    /// Takes every letter that can be had, and keeps the oldest that are wanted. On a failure what was taken goes back.
    async fn take(
        &self,
        dead: &Queue,
        changes: &Changes,
        limit: usize,
        wanted: impl Fn(&Letter) -> bool,
    ) -> Result<Taken, Fault> {
        let topology = &self.topology;
        let receive = |wait| {
            let deadline = Instant::now() + wait + topology.config.request_timeout;
            insist(deadline, move || {
                receive(topology, dead, ENTRIES, VISIBILITY, wait)
            })
        };
        let (taken, failure) = gather(receive, limit, wanted).await;
        let Some(fault) = failure else {
            return Ok(taken);
        };
        let chosen = taken.chosen.into_iter();
        changes.make_visible(chosen.map(|letter| letter.parcel.handle));
        changes.make_visible(taken.others);
        changes.flush().await;
        Err(fault)
    }
}

/// Receives until a request that waits brings nothing: what SQS estimates to be left is no reason to end.
async fn gather<F>(
    receive: impl Fn(Duration) -> F,
    limit: usize,
    wanted: impl Fn(&Letter) -> bool,
) -> (Taken, Option<Fault>)
where
    F: Future<Output = Result<Vec<Parcel>, Fault>>,
{
    let mut oldest = Oldest::new(limit, MOST_BYTES);
    let mut others = Vec::new();
    let mut seen = HashSet::new();
    let mut failure = None;
    let end = Instant::now() + LOOK;
    while seen.len() < MOST && Instant::now() < end {
        let parcels = match receive(WAIT).await {
            Ok(parcels) if parcels.is_empty() => break,
            Ok(parcels) => parcels,
            Err(fault) => {
                failure = Some(fault);
                break;
            }
        };
        for parcel in parcels {
            // A standard queue may give out a message twice.
            if !seen.insert(parcel.id.clone()) {
                continue;
            }
            let letter = letter(parcel);
            if wanted(&letter) {
                let size = letter.parcel.wire.size();
                let let_go = oldest.offer(letter.history.order, size, letter);
                others.extend(let_go.into_iter().map(|letter| letter.parcel.handle));
            } else {
                others.push(letter.parcel.handle);
            }
        }
    }
    let chosen = oldest.kept().collect();
    (Taken { chosen, others }, failure)
}

fn letter(parcel: Parcel) -> Letter {
    let history = History::of(&parcel.wire).unwrap_or_else(|| {
        let sent = parcel.sent.unwrap_or_default();
        let micros = sent.saturating_mul(1000);
        History {
            position: parcel.id.clone(),
            group: parcel.group.clone(),
            attempts: parcel.receives,
            first_failed_at: micros,
            rejected_at: micros,
            order: (sent, micros),
            reasons: vec![TOO_OFTEN.to_owned()],
            ..History::default()
        }
    });
    Letter { parcel, history }
}

fn opened(topic: &TopicName, name: &SubscriptionName, letter: &Letter) -> DeadLetter {
    let Letter { parcel, history } = letter;
    let wire = parcel.wire.without(HISTORY);
    let body = decode(topic, &wire, history.group.as_deref());
    DeadLetter::new(topic.clone(), name.clone(), body, history.position.clone())
        .with_attempts(history.attempts)
        .with_reasons(history.reasons.clone())
        .with_times(time(history.first_failed_at), time(history.rejected_at))
}

/// What is known of its end beside a message, cut to the room that it leaves: what others wrote may be as large as a queue
/// takes.
fn with_history(wire: &Wire, history: &History, most: usize) -> Wire {
    let bare = wire.with(HISTORY, String::new());
    let room = most.saturating_sub(bare.size());
    wire.with(HISTORY, history.written(room))
}

/// The message again, with its past beside it where there is room, in the group it was in.
fn redriven_message(letter: &Letter, most: usize) -> Outgoing {
    let Letter { parcel, history } = letter;
    let group = history.group.clone().filter(|group| !is_keyless(group));
    let wire = with_history(&parcel.wire, history, most);
    Outgoing {
        // A letter that is redriven twice, because nobody answered, is redriven once.
        deduplication: hash(format!("redriven {}", parcel.id).as_bytes()),
        group: group.unwrap_or_else(|| group_of(None)),
        wire: if wire.size() <= most {
            wire
        } else {
            parcel.wire.without(HISTORY)
        },
        delay: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use super::*;

    fn parcel(at: i64) -> Parcel {
        Parcel {
            id: at.to_string(),
            handle: format!("handle {at}"),
            group: None,
            receives: 1,
            first_received: None,
            sent: Some(at),
            wire: Wire::default(),
        }
    }

    fn places(taken: &Taken) -> Vec<&str> {
        let chosen = taken.chosen.iter();
        chosen.map(|letter| letter.parcel.id.as_str()).collect()
    }

    #[tokio::test]
    async fn a_look_ends_with_an_empty_answer_to_a_request_that_waited() {
        let answers = [vec![7], vec![3, 9, 3], vec![3], vec![1], vec![], vec![2]];
        let answers = RefCell::new(VecDeque::from(answers));
        let receive = |wait: Duration| {
            assert!(wait >= Duration::from_secs(1));
            let answer = answers.borrow_mut().pop_front().unwrap();
            async move { Ok(answer.into_iter().map(parcel).collect()) }
        };
        let (taken, failure) = gather(receive, 2, |letter| letter.parcel.id != "1").await;
        assert!(failure.is_none());
        assert_eq!(places(&taken), ["3", "7"]);
        assert_eq!(taken.others, ["handle 9", "handle 1"]);
        assert_eq!(answers.borrow().len(), 1);
    }

    #[tokio::test]
    async fn what_was_taken_before_a_failure_is_known() {
        let asked = Cell::new(0);
        let receive = |_| {
            asked.set(asked.get() + 1);
            let first = asked.get() == 1;
            async move {
                if first {
                    Ok(vec![parcel(1), parcel(2)])
                } else {
                    Err(Fault::unanswered())
                }
            }
        };
        let (taken, failure) = gather(receive, 1, |_| true).await;
        assert!(failure.is_some());
        assert_eq!(places(&taken), ["1"]);
        assert_eq!(taken.others, ["handle 2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_never_ends_is_ended() {
        let receive = |wait| async move {
            tokio::time::sleep(wait).await;
            Ok(vec![parcel(1)])
        };
        let (taken, failure) = gather(receive, 10, |_| true).await;
        assert!(failure.is_none());
        assert_eq!(places(&taken), ["1"]);
    }
}
