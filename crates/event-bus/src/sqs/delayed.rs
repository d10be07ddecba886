//! What is to be delivered later waits in one standard queue, and whichever connected bus receives it when it is due
//! publishes it then.
//!
//! A message is delayed by SQS for up to 15 minutes; received before it is due, it is made invisible for the rest, 12
//! hours at most, and so on. What waits for days is sent anew before SQS would throw it away. Only what AWS has taken as
//! published is deleted here.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::call::{Outgoing, Parcel, receive};
use super::changes::Changes;
use super::fault::{Fault, Pauses};
use super::names::group_of;
use super::publish::{Publisher, Target, Verdict, outgoing, send};
use super::topology::{Queue, Topology};
use super::wire::DUE;
use crate::error::{Error, ErrorKind};
use crate::name::TopicName;

/// The longest delay that SQS takes with a message, in seconds.
const LONGEST_DELAY: i64 = 900;
/// The longest that a message is made invisible for, in seconds: less than the 12 hours since it was received.
const LONGEST_HOLD: i64 = 12 * 60 * 60 - 60;
/// How long a received message stays with the bus that deals with it.
const VISIBILITY: i32 = 60;
/// How often a bus looks whether anybody has made the queue.
const LOOK: Duration = Duration::from_secs(10);

/// The queue of what is to be delivered later.
pub(super) struct Delayed {
    topology: Arc<Topology>,
    queue: OnceLock<Queue>,
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
        let note = Due {
            topic: topic.clone(),
            at: due.timestamp_millis().saturating_add(1),
            keyed: !super::names::is_keyless(&outgoing.group),
            group: outgoing.group.clone(),
        };
        outgoing.delay = delay(note.at, now.timestamp_millis());
        outgoing.wire = outgoing.wire.with(DUE, note.written());
        Ok(outgoing)
    }

    /// The queue, made if there is none.
    pub(super) async fn queue(&self) -> Result<Queue, Fault> {
        if let Some(queue) = self.queue.get() {
            return Ok(queue.clone());
        }
        let name = self.topology.config.names.delayed();
        let made = self
            .topology
            .find_or_make(&name, self.topology.attributes(false));
        let (queue, _) = made.await?;
        Ok(self.queue.get_or_init(|| queue).clone())
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
            let pause = match self.topology.url(&name).await {
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
    while !delayed.ended.is_cancelled() {
        let mut turn = tokio::spawn(turn(
            Arc::clone(&delayed),
            queue.clone(),
            changes.clone(),
            publisher.clone(),
        ));
        // Its request goes on after the end: whatever it brings is released, where an aborted one would strand it.
        let outcome = tokio::select! {
            outcome = &mut turn => outcome,
            () = delayed.ended.cancelled() => return,
        };
        match outcome {
            Ok(Ok(())) => pauses = Pauses::default(),
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
) -> Result<(), Fault> {
    let topology = &delayed.topology;
    // A wait counts against the visibility, as for every receive.
    let parcels = receive(topology, &queue, 10, VISIBILITY, topology.config.wait).await?;
    let received = parcels.into_iter().map(|parcel| (Due::of(&parcel), parcel));
    let mut due: Vec<(Due, Parcel)> = Vec::new();
    let mut waiting = Vec::new();
    let now = Utc::now().timestamp_millis();
    for (note, parcel) in received {
        if delayed.ended.is_cancelled() {
            changes.make_visible([parcel.handle]);
            continue;
        }
        match note {
            Some(note) if note.at <= now => due.push((note, parcel)),
            Some(note) => waiting.push(wait_on(topology, &queue, &changes, note, parcel, now)),
            // Nobody of ours put it here; it leaves with the queue's retention.
            None => tracing::error!(
                id = parcel.id,
                "what is to be delivered later says neither when nor where"
            ),
        }
    }
    join_all(waiting).await;
    // In the order in which they are due.
    due.sort_by_key(|(note, _)| note.at);
    let mut topics: Vec<(TopicName, Vec<(Outgoing, String)>)> = Vec::new();
    for (note, parcel) in due {
        let sent = (note.outgoing(&parcel), parcel.handle);
        match topics.iter_mut().find(|(topic, _)| *topic == note.topic) {
            Some((_, row)) => row.push(sent),
            None => topics.push((note.topic, vec![sent])),
        }
    }
    for (topic, row) in topics {
        let (outgoing, handles): (Vec<Outgoing>, Vec<String>) = row.into_iter().unzip();
        let Some(publisher) = publisher.upgrade() else {
            changes.make_visible(handles);
            continue;
        };
        // Well within the visibility, so that no other bus publishes them beside this one.
        let deadline = Instant::now() + Duration::from_secs(20);
        let verdicts = publisher.to_topic(&topic, &outgoing, deadline).await;
        for (handle, verdict) in handles.into_iter().zip(verdicts) {
            if let Verdict::Accepted = verdict {
                // One that is not deleted is published again: at least once.
                let _ = changes.delete(handle).await;
            } else {
                tracing::warn!(?verdict, %topic, "what is due could not be published yet");
                let _ = changes.visible_in(handle, 15).await;
            }
        }
    }
    Ok(())
}

/// Not yet: invisible for the rest, or a new copy where this one would grow too old.
async fn wait_on(
    topology: &Topology,
    queue: &Queue,
    changes: &Changes,
    note: Due,
    parcel: Parcel,
    now: i64,
) {
    let age = parcel.sent.map_or(0, |sent| now.saturating_sub(sent));
    let retention = i64::try_from(topology.config.retention.as_millis()).unwrap_or(i64::MAX);
    if age > retention / 2 {
        let mut copy = note.outgoing(&parcel);
        copy.delay = delay(note.at, now);
        copy.wire = copy.wire.with(DUE, note.written());
        let deadline = Instant::now() + Duration::from_secs(20);
        let sent = send(topology, &Target::Queue(queue.clone()), &[copy], deadline).await;
        if let [Verdict::Accepted] = sent[..] {
            let _ = changes.delete(parcel.handle).await;
        }
        return;
    }
    let seconds = seconds_until(note.at, now).clamp(1, LONGEST_HOLD);
    // Where that fails it comes again in a minute.
    let _ = changes
        .visible_in(parcel.handle, i32::try_from(seconds).unwrap_or(VISIBILITY))
        .await;
}

/// Whole seconds, rounded up.
fn seconds_until(at: i64, now: i64) -> i64 {
    at.saturating_sub(now).max(0).saturating_add(999) / 1000
}

fn delay(at: i64, now: i64) -> i32 {
    i32::try_from(seconds_until(at, now).min(LONGEST_DELAY)).unwrap_or(0)
}

/// When and where a message is due.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Due {
    topic: TopicName,
    /// Milliseconds since 1970.
    at: i64,
    keyed: bool,
    group: String,
}

impl Due {
    fn written(&self) -> String {
        let group = self.keyed.then_some(&self.group);
        json!({"topic": self.topic.as_str(), "at": self.at, "group": group}).to_string()
    }

    fn of(parcel: &Parcel) -> Option<Self> {
        let note: Json = serde_json::from_str(parcel.wire.text(DUE)?).ok()?;
        let group = note["group"].as_str();
        Some(Self {
            topic: TopicName::new(note["topic"].as_str()?).ok()?,
            at: note["at"].as_i64()?,
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
    fn nothing_is_due_early() {
        for (at, now, seconds) in [(1000, 0, 1), (1001, 0, 2), (1, 0, 1), (0, 0, 0), (0, 5, 0)] {
            assert_eq!(seconds_until(at, now), seconds);
        }
        assert_eq!(delay(i64::MAX, 0), 900);
        assert_eq!(seconds_until(i64::MAX, i64::MIN), i64::MAX / 1000);
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
