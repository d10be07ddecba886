//! Topics, their logs, and what of them may be forgotten.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::config::Config;
use super::group::Group;
use crate::backlog::Backlog;
use crate::error::{Error, ErrorKind};
use crate::message::Message;
use crate::name::{SubscriptionName, TopicName};

/// Everything that a memory bus knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) topics: HashMap<TopicName, Topic>,
    /// Messages kept, all topics together.
    pub(super) retained: usize,
    /// What they weigh.
    pub(super) retained_bytes: usize,
    /// No more subscribers and deliveries; those in flight may still publish and settle.
    pub(super) closing: bool,
    pub(super) closed: bool,
    /// The oldest first: messages that every subscription has settled.
    forgettable: BTreeMap<u64, TopicName>,
    last_sequence: u64,
    /// Messages that are not due yet, in the order they will be; the number tells those of one instant apart.
    scheduled: BTreeMap<(Instant, u64), Message>,
    last_scheduled: u64,
}

/// One topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    pub(super) log: BTreeMap<u64, Entry>,
    pub(super) groups: HashMap<SubscriptionName, Group>,
}

/// One message, and how many subscriptions have not settled it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) message: Message,
    pub(super) published_at: DateTime<Utc>,
    unsettled: usize,
}

impl State {
    /// Whether there is room for one more message of this size, forgetting what every subscription has settled where that
    /// helps.
    pub(super) fn has_room(&mut self, size: usize, config: &Config) -> bool {
        while self.retained >= config.capacity
            || self.retained_bytes.saturating_add(size) > config.capacity_bytes
        {
            let Some((sequence, topic)) = self.forgettable.pop_first() else {
                return false;
            };
            let log = self.topics.get_mut(&topic).map(|topic| &mut topic.log);
            if let Some(entry) = log.and_then(|log| log.remove(&sequence)) {
                self.no_longer_retains(&entry.message);
            }
        }
        true
    }

    fn retains(&mut self, message: &Message) {
        self.retained += 1;
        self.retained_bytes += message.size();
    }

    fn no_longer_retains(&mut self, message: &Message) {
        self.retained -= 1;
        self.retained_bytes -= message.size();
    }

    /// Keeps a message until it is due. It takes room from now on.
    pub(super) fn schedule(&mut self, due: Instant, message: Message) {
        self.last_scheduled += 1;
        self.retains(&message);
        self.scheduled.insert((due, self.last_scheduled), message);
        self.wake_all();
    }

    /// Appends what is due.
    pub(super) fn publish_due(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.scheduled.first_entry()
            && entry.key().0 <= now
        {
            let message = entry.remove();
            self.no_longer_retains(&message);
            self.append(message);
        }
    }

    /// When the next scheduled message is due.
    pub(super) fn next_scheduled(&self) -> Option<Instant> {
        self.scheduled.keys().next().map(|(due, _)| *due)
    }

    /// Appends a message; gives its sequence number.
    pub(super) fn append(&mut self, message: Message) -> u64 {
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        self.retains(&message);
        let topic = self.topics.entry(message.topic.clone()).or_default();
        let unsettled = topic.groups.len();
        if unsettled == 0 {
            self.forgettable.insert(sequence, message.topic.clone());
        }
        for group in topic.groups.values_mut() {
            group.behind += 1;
            group.changed.notify_waiters();
        }
        let entry = Entry {
            message,
            published_at: Utc::now(),
            unsettled,
        };
        topic.log.insert(sequence, entry);
        sequence
    }

    /// A new subscription has yet to settle everything from `first` on. Gives how many messages that is.
    pub(super) fn claim_from(&mut self, topic: &TopicName, first: u64) -> u64 {
        let log = &mut self.topics.entry(topic.clone()).or_default().log;
        let mut claimed = 0;
        for (sequence, entry) in log.range_mut(first..) {
            if entry.unsettled == 0 {
                self.forgettable.remove(sequence);
            }
            entry.unsettled += 1;
            claimed += 1;
        }
        claimed
    }

    /// One subscription is done with a message.
    pub(super) fn done(&mut self, topic: &TopicName, sequence: u64) {
        let entry = self
            .topics
            .get_mut(topic)
            .and_then(|topic| topic.log.get_mut(&sequence));
        if let Some(entry) = entry {
            entry.unsettled -= 1;
            if entry.unsettled == 0 {
                self.forgettable.insert(sequence, topic.clone());
            }
        }
    }

    /// The first message of a topic that was published at this time or later, or the next one to come.
    pub(super) fn first_since(&self, topic: &TopicName, time: DateTime<Utc>) -> u64 {
        let log = self.topics.get(topic).map(|topic| &topic.log);
        let mut since = log
            .into_iter()
            .flatten()
            .skip_while(|(_, entry)| entry.published_at < time);
        since
            .next()
            .map_or_else(|| self.next_sequence(), |(sequence, _)| *sequence)
    }

    /// The sequence number that the next message gets.
    pub(super) fn next_sequence(&self) -> u64 {
        self.last_sequence + 1
    }

    /// An existing subscription.
    pub(super) fn group(
        &mut self,
        operation: &'static str,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<&mut Group, Error> {
        let group = self
            .topics
            .get_mut(topic)
            .and_then(|topic| topic.groups.get_mut(name));
        group.ok_or_else(|| {
            let problem = format!("topic {topic} has no subscription {name}");
            Error::new(ErrorKind::Config, operation, problem)
        })
    }

    pub(super) fn backlog(
        &mut self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<Backlog, Error> {
        self.publish_due();
        let backlog = self.group("backlog", topic, name)?.backlog();
        let topic = self.topics.get(topic);
        let oldest = topic.and_then(|topic| {
            let oldest = topic.groups.get(name)?.oldest(&topic.log)?;
            topic.log.get(&oldest)
        });
        Ok(backlog.with_oldest_at(oldest.map(|entry| entry.published_at)))
    }

    pub(super) fn wake_all(&self) {
        for group in self.topics.values().flat_map(|topic| topic.groups.values()) {
            group.changed.notify_waiters();
        }
    }
}
