//! What is to be delivered later waits in one standard queue, and whichever connected bus receives it when it is due
//! publishes it then.
//!
//! A message is delayed by SQS for up to 15 minutes. Where that is all of it, it is due when it is seen, whatever our clocks
//! say; else, received before it is due, it is made invisible for the rest, 12 hours at most, and so on. What waits for days, or cannot be published for days, is sent anew before SQS would throw it
//! away. Only what AWS has taken, as published or as a copy, is deleted here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use chrono::{DateTime, Utc};
use futures_util::future::{join, join_all};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::call::{Outgoing, Parcel, receive};
use super::changes::Changes;
use super::config::LONGEST_RETENTION;
use super::fault::{Fault, Pauses};
use super::hold::{Hold, covers, delay, hold};
use super::names::group_of;
use super::publish::{Publisher, Target, Verdict, outgoing, send};
use super::split::ENTRIES;
use super::topology::{Queue, Topology};
use super::wire::DUE;
use crate::error::{Error, ErrorKind};
use crate::name::TopicName;

/// How long a received message stays with the bus that deals with it.
const VISIBILITY: i32 = 60;
/// How long one answer's messages are published for, all of them: well within the visibility, so that no other bus
/// publishes them beside this one.
const PUBLISHING: Duration = Duration::from_secs(20);
/// What is kept free behind it for copies of what could not be published.
const COPYING: Duration = Duration::from_secs(10);
/// When something that could not be published is tried again, in milliseconds.
const AGAIN: i64 = 15_000;
/// How often a bus looks whether anybody has made the queue.
const LOOK: Duration = Duration::from_secs(10);
/// How often it looks how long the queue keeps messages: whoever manages it may change that.
const LOOK_AGAIN: Duration = Duration::from_mins(10);
/// A queue that keeps messages for less, in milliseconds, is trusted with none: the first delay is 15 minutes.
const SHORTEST_RETENTION: i64 = 60 * 60 * 1000;
/// How long SQS keeps messages where a queue does not say.
const USUAL_RETENTION: i64 = 4 * 24 * 60 * 60 * 1000;

/// The queue of what is to be delivered later.
pub(super) struct Delayed {
    topology: Arc<Topology>,
    queue: OnceLock<Queue>,
    /// How long it keeps a message, in milliseconds; 0 while nobody has asked.
    retention: AtomicI64,
    made: Notify,
    /// What is in nobody's hands yet is in the poller's.
    changes: Mutex<Option<Changes>>,
    ended: CancellationToken,
}

impl Delayed {
    pub(super) fn new(topology: Arc<Topology>) -> Self {
        Self {
            topology,
            queue: OnceLock::new(),
            retention: AtomicI64::new(0),
            made: Notify::new(),
            changes: Mutex::default(),
            ended: CancellationToken::new(),
        }
    }

    /// A message on its way to the queue.
    pub(super) fn put_off(
        &self,
        mut outgoing: Outgoing,
        topic: &TopicName,
        due: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Outgoing, Error> {
        if !self.topology.config.delayed {
            let problem = "the URL says delayed=off: nothing is delivered later";
            return Err(Error::new(ErrorKind::Unsupported, "publish", problem));
        }
        let at = due.timestamp_millis().saturating_add(1);
        let now = now.timestamp_millis();
        outgoing.delay = delay(at, now);
        let note = Due {
            topic: topic.clone(),
            at,
            is_counted: covers(outgoing.delay, at, now),
            keyed: !super::names::is_keyless(&outgoing.group),
            group: outgoing.group.clone(),
        };
        outgoing.wire = outgoing.wire.with(DUE, note.written());
        Ok(outgoing)
    }

    /// The queue, made if there is none, where it keeps what is put into it.
    pub(super) async fn queue(&self, deadline: Instant) -> Result<Queue, Fault> {
        let known = self.queue.get();
        if let Some(queue) = known
            && self.retention.load(Ordering::Acquire) >= SHORTEST_RETENTION
        {
            return Ok(queue.clone());
        }
        let name = self.topology.config.names.delayed();
        // Whatever `retention` says: what was accepted is not to be thrown away before it is due.
        let attributes = Topology::attributes(false, LONGEST_RETENTION);
        let (queue, _) = self
            .topology
            .find_or_make(&name, attributes, deadline)
            .await?;
        let retention = self.ask_retention(&queue, deadline).await?;
        if retention < SHORTEST_RETENTION {
            let problem = format!(
                "queue {name} keeps messages for {} seconds, and what is to be delivered later would be lost in it; set its \
                 MessageRetentionPeriod to {}",
                retention / 1000,
                LONGEST_RETENTION.as_secs()
            );
            return Err(Fault::new(ErrorKind::Config, problem));
        }
        Ok(self.queue.get_or_init(|| queue).clone())
    }

    /// How long the queue keeps messages now.
    async fn ask_retention(&self, queue: &Queue, deadline: Instant) -> Result<i64, Fault> {
        let period = Attribute::MessageRetentionPeriod;
        let seconds = self.topology.attribute(queue, period, deadline).await?;
        let retention = retention_of(&seconds);
        self.retention.store(retention, Ordering::Release);
        Ok(retention)
    }

    /// Something was put into the queue.
    pub(super) fn look(&self) {
        self.made.notify_one();
    }

    /// Nothing is received any more.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// The same; waits for what was received to go back or out.
    pub(super) async fn close(&self) {
        self.end();
        let changes = self
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(changes) = changes {
            changes.flush().await;
        }
    }

    /// Waits until there is a queue to receive from; `None` at the end.
    async fn found(&self) -> Option<Queue> {
        let mut pauses = Pauses::default();
        loop {
            if let Some(queue) = self.queue.get() {
                return Some(queue.clone());
            }
            let name = self.topology.config.names.delayed();
            let pause = match self.topology.url(&name, self.topology.deadline()).await {
                Ok(Some(queue)) => return Some(self.queue.get_or_init(|| queue).clone()),
                Ok(None) => LOOK,
                Err(_) => LOOK + pauses.next(),
            };
            tokio::select! {
                () = self.ended.cancelled() => return None,
                () = self.made.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }
}

/// Publishes what is due until the bus is closed.
pub(super) async fn run(delayed: Arc<Delayed>, publisher: Weak<Publisher>) {
    let Some(queue) = delayed.found().await else {
        return;
    };
    let changes = Changes::of(Arc::clone(&delayed.topology), queue.clone());
    *delayed
        .changes
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(changes.clone());
    let mut pauses = Pauses::default();
    let mut asked: Option<Instant> = None;
    while !delayed.ended.is_cancelled() {
        let ask = asked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
        let mut turn = tokio::spawn(turn(
            Arc::clone(&delayed),
            queue.clone(),
            changes.clone(),
            publisher.clone(),
            ask,
        ));
        // Its request goes on after the end: whatever it brings is released, where an aborted one would strand it.
        let outcome = tokio::select! {
            outcome = &mut turn => outcome,
            () = delayed.ended.cancelled() => return,
        };
        match outcome {
            Ok(Ok(())) => {
                pauses = Pauses::default();
                if ask {
                    asked = Some(Instant::now());
                }
            }
            Ok(Err(fault)) => {
                tracing::warn!(
                    ?fault,
                    "SQS does not give out what is to be delivered later"
                );
                tokio::select! {
                    () = sleep(pauses.next()) => {}
                    () = delayed.ended.cancelled() => return,
                }
            }
            Err(_) => return,
        }
    }
}

async fn turn(
    delayed: Arc<Delayed>,
    queue: Queue,
    changes: Changes,
    publisher: Weak<Publisher>,
    ask: bool,
) -> Result<(), Fault> {
    let topology = &delayed.topology;
    if ask {
        delayed.ask_retention(&queue, topology.deadline()).await?;
    }
    // A wait counts against the visibility, as for every receive.
    let parcels = receive(topology, &queue, ENTRIES, VISIBILITY, topology.config.wait).await?;
    let turn = Turn {
        topology,
        queue: &queue,
        changes: &changes,
        retention: delayed.retention.load(Ordering::Acquire),
        now: topology.config.clock.now().timestamp_millis(),
        deadline: Instant::now() + PUBLISHING,
    };
    let mut due: HashMap<TopicName, Vec<(Due, Parcel)>> = HashMap::new();
    let mut waiting = Vec::new();
    for parcel in parcels {
        if delayed.ended.is_cancelled() {
            changes.make_visible([parcel.handle]);
            continue;
        }
        match Due::of(&parcel) {
            Some(note) if note.is_due(turn.now) => {
                let row = due.entry(note.topic.clone()).or_default();
                row.push((note, parcel));
            }
            Some(note) => waiting.push(turn.keep(note.at, note, parcel)),
            // Nobody of ours put it here; it leaves with the queue's retention.
            None => tracing::error!(
                id = parcel.id,
                "what is to be delivered later says neither when nor where"
            ),
        }
    }
    let publisher = publisher.upgrade();
    let rows = due
        .into_iter()
        .map(|(topic, row)| turn.publish(publisher.as_deref(), topic, row));
    join(join_all(waiting), join_all(rows)).await;
    Ok(())
}

/// What is done with the messages of one answer, ten at most.
struct Turn<'a> {
    topology: &'a Topology,
    queue: &'a Queue,
    changes: &'a Changes,
    /// Milliseconds, as all times of messages.
    retention: i64,
    now: i64,
    deadline: Instant,
}

impl Turn<'_> {
    /// Publishes what is due in one topic.
    async fn publish(
        &self,
        publisher: Option<&Publisher>,
        topic: TopicName,
        mut row: Vec<(Due, Parcel)>,
    ) {
        let Some(publisher) = publisher else {
            let handles = row.into_iter().map(|(_, parcel)| parcel.handle);
            return self.changes.make_visible(handles);
        };
        // In the order in which they are due.
        row.sort_by_key(|(note, _)| note.at);
        let outgoing: Vec<Outgoing> = row.iter().map(|(note, it)| note.outgoing(it)).collect();
        let verdicts = publisher.to_topic(&topic, &outgoing, self.deadline).await;
        let settled = row
            .into_iter()
            .zip(verdicts)
            .map(async |((note, parcel), verdict)| {
                if let Verdict::Accepted = verdict {
                    // One that is not deleted is published again: at least once.
                    let _ = self.changes.delete(parcel.handle).await;
                } else {
                    tracing::warn!(?verdict, topic = %note.topic, "what is due could not be published yet");
                    self.keep(self.now.saturating_add(AGAIN), note, parcel).await;
                }
            });
        join_all(settled).await;
    }

    /// Not yet: out of sight until then, or a new copy where this one would grow too old.
    async fn keep(&self, until: i64, mut note: Due, parcel: Parcel) {
        let age = parcel.sent.map_or(0, |sent| self.now.saturating_sub(sent));
        match hold(age, self.retention, until, self.now) {
            // Where that fails it comes again in a minute.
            Hold::Hide(seconds) => {
                let _ = self.changes.visible_in(parcel.handle, seconds).await;
            }
            Hold::Renew(delay) => {
                let mut copy = note.outgoing(&parcel);
                copy.delay = delay;
                note.is_counted = covers(delay, until, self.now);
                copy.wire = copy.wire.with(DUE, note.written());
                let target = Target::Queue(self.queue.clone());
                let sent = send(self.topology, &target, &[copy], self.deadline + COPYING).await;
                if let [Verdict::Accepted] = sent[..] {
                    let _ = self.changes.delete(parcel.handle).await;
                }
            }
        }
    }
}

/// A queue's retention in milliseconds, of the attribute's text.
fn retention_of(seconds: &str) -> i64 {
    let seconds = seconds.parse::<i64>();
    seconds.map_or(USUAL_RETENTION, |seconds| seconds.saturating_mul(1000))
}

/// When and where a message is due.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Due {
    topic: TopicName,
    /// Milliseconds since 1970.
    at: i64,
    /// Whether the delay that it was sent with is all of its wait, so that SQS counts it.
    is_counted: bool,
    keyed: bool,
    group: String,
}

impl Due {
    fn is_due(&self, now: i64) -> bool {
        self.is_counted || self.at <= now
    }

    fn written(&self) -> String {
        let group = self.keyed.then_some(&self.group);
        json!({"topic": self.topic.as_str(), "at": self.at, "counted": self.is_counted, "group": group}).to_string()
    }

    fn of(parcel: &Parcel) -> Option<Self> {
        let note: Json = serde_json::from_str(parcel.wire.text(DUE)?).ok()?;
        let group = note["group"].as_str();
        Some(Self {
            topic: TopicName::new(note["topic"].as_str()?).ok()?,
            at: note["at"].as_i64()?,
            is_counted: note["counted"].as_bool().unwrap_or_default(),
            keyed: group.is_some(),
            group: group.map_or_else(|| group_of(None), ToOwned::to_owned),
        })
    }

    /// The message without its note.
    fn outgoing(&self, parcel: &Parcel) -> Outgoing {
        let mut outgoing = outgoing(parcel.wire.without(DUE), None);
        outgoing.group.clone_from(&self.group);
        outgoing
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sqs::wire::Wire;

    #[test]
    fn a_queue_that_does_not_say_keeps_as_long_as_sqs_usually_does() {
        assert_eq!(retention_of("60"), 60_000);
        assert_eq!(retention_of(""), USUAL_RETENTION);
    }

    fn parcel(note: String) -> Parcel {
        Parcel {
            id: String::new(),
            handle: String::new(),
            group: None,
            receives: 1,
            first_received: None,
            sent: None,
            wire: Wire::default().with(DUE, note),
        }
    }

    #[test]
    fn a_note_travels_with_the_message() {
        let note = |keyed| Due {
            topic: TopicName::new("orders").unwrap(),
            at: 17,
            is_counted: keyed,
            keyed,
            group: "order-17".to_owned(),
        };
        let read = Due::of(&parcel(note(true).written())).unwrap();
        assert_eq!(read, note(true));
        let sent = read.outgoing(&parcel(read.written()));
        assert!(sent.wire.attributes.is_empty());
        let read = Due::of(&parcel(note(false).written())).unwrap();
        assert!(!read.keyed && read.group != "order-17");
    }

    #[test]
    fn what_sqs_counts_is_due_when_it_is_seen_by_any_clock() {
        let due = |note: &str| Due::of(&parcel(note.to_owned())).unwrap();
        let counted = due(r#"{"topic":"orders","at":17,"counted":true}"#);
        assert!(counted.is_due(0) && counted.is_due(17));
        let ours = due(r#"{"topic":"orders","at":17}"#);
        assert!(!ours.is_due(16) && ours.is_due(17));
    }

    proptest! {
        #[test]
        fn any_note_is_read_or_not(
            text in "\\PC{0,60}",
            topic in "\\PC{0,9}",
            at in any::<i64>(),
            group in "\\PC{0,9}",
        ) {
            drop(Due::of(&parcel(text)));
            let note = json!({"topic": topic, "at": at, "group": group}).to_string();
            let read = Due::of(&parcel(note));
            prop_assert_eq!(read.is_some(), TopicName::new(&topic).is_ok());
            prop_assert!((0..=900).contains(&delay(at, 0)));
        }
    }
}
