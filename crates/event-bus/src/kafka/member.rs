//! One member of a group, as its reader, its feed and its settlers share it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::frontier::Frontier;
use super::record::Record;
use crate::backend::Receipt;
use crate::lanes::{Arrival, Bounds, Departure, Desk, Lanes, Stale};
use crate::message::{Message, Undecodable};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::{Order, Subscription};

/// A record that was received and is not settled.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) record: Record,
    pub(super) body: Result<Message, Undecodable>,
}

pub(super) type Item = Arc<Held>;

/// Partition and offset.
type Identity = (i32, i64);

/// The partitions that are assigned to a member.
#[derive(Debug, Default)]
pub(super) struct Partitions(BTreeMap<i32, Frontier>);

impl Partitions {
    /// Everything assigned.
    pub(super) fn numbers(&self) -> Vec<i32> {
        self.0.keys().copied().collect()
    }

    /// One past the last record received, per partition that has received one.
    pub(super) fn ends(&self) -> impl Iterator<Item = (i32, i64)> {
        self.0
            .iter()
            .filter_map(|(partition, frontier)| Some((*partition, frontier.end()?)))
    }

    /// Positions that have moved since they were last given out, of all partitions or of some.
    pub(super) fn take_commit(&mut self, of: Option<&BTreeSet<i32>>) -> Vec<(i32, i64)> {
        let wanted = |partition: &i32| of.is_none_or(|of| of.contains(partition));
        self.0
            .iter_mut()
            .filter(|(partition, _)| wanted(partition))
            .filter_map(|(partition, frontier)| Some((*partition, frontier.take_commit()?)))
            .collect()
    }
}

/// One member of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) topic: TopicName,
    pub(super) name: SubscriptionName,
    pub(super) group: String,
    pub(super) lease: Duration,
    pub(super) desk: Desk<Item, Identity, Partitions>,
    pub(super) departure: Departure,
}

impl Member {
    pub(super) fn new(subscription: Subscription, group: String, lookahead: usize) -> Self {
        let Subscription {
            topic,
            name,
            order,
            max_in_flight,
            lease,
            ..
        } = subscription;
        let bounds = Bounds {
            bytes: usize::MAX,
            held_bytes: usize::MAX,
            in_flight: max_in_flight.max(1),
            held: lookahead.max(max_in_flight),
        };
        Self {
            topic,
            name,
            group,
            lease,
            desk: Desk::new(
                Lanes::new(order == Order::PerKey, bounds),
                Partitions::default(),
            ),
            departure: Departure::new(),
        }
    }

    /// The group gave these partitions to this member.
    pub(super) fn assigned(&self, partitions: &BTreeSet<i32>) {
        self.desk.change(|_, assigned| {
            for partition in partitions {
                assigned.0.insert(*partition, Frontier::default());
            }
        });
    }

    /// These partitions are on their way to another member: nothing more of them is handed out.
    pub(super) fn leaving(&self, partitions: &BTreeSet<i32>) {
        self.desk
            .change(|lanes, _| lanes.leave(|item| partitions.contains(&item.record.partition)));
    }

    /// These partitions are gone: what is still in a handler's hands can no longer be settled.
    pub(super) fn revoked(&self, partitions: &BTreeSet<i32>) {
        self.desk.change(|lanes, assigned| {
            lanes.revoke(|item| partitions.contains(&item.record.partition));
            assigned
                .0
                .retain(|partition, _| !partitions.contains(partition));
        });
    }

    /// Every partition is gone.
    pub(super) fn all_revoked(&self) {
        self.desk.change(|lanes, assigned| {
            lanes.revoke(|_| true);
            assigned.0.clear();
        });
    }

    /// Takes a record from the partition's stream.
    pub(super) fn receive(&self, record: Record) {
        let body = record.decode(&self.topic);
        let redriven_for_another = record.is_for_another(self.name.as_str());
        self.desk.change(|lanes, assigned| {
            // Left over in the client's buffer from a partition that is not ours any more.
            let Some(frontier) = assigned.0.get_mut(&record.partition) else {
                return;
            };
            if !frontier.receive(record.offset) {
                return;
            }
            if redriven_for_another {
                frontier.settle(record.offset);
                return;
            }
            let key = match &body {
                Ok(message) => message
                    .key()
                    .map(|key| bytes::Bytes::copy_from_slice(key.as_bytes())),
                Err(_) => record.key.clone(),
            };
            let identity = Some((record.partition, record.offset));
            lanes.push(Arrival {
                size: 0,
                key,
                identity,
                earlier_attempts: 0,
                item: Arc::new(Held { record, body }),
            });
        });
    }

    /// The delivery is settled for good.
    pub(super) fn finish(&self, receipt: Receipt) -> Result<(), Stale> {
        self.desk.change(|lanes, assigned| {
            let item = lanes.finish(receipt)?;
            if let Some(frontier) = assigned.0.get_mut(&item.record.partition) {
                frontier.settle(item.record.offset);
            }
            Ok(())
        })
    }

    /// A commit did not reach the broker.
    pub(super) fn commit_failed(&self, partitions: impl Iterator<Item = i32>) {
        self.desk.change(|_, assigned| {
            for partition in partitions {
                if let Some(frontier) = assigned.0.get_mut(&partition) {
                    frontier.commit_failed();
                }
            }
        });
    }

    /// Ends the feed, gives back what was fetched ahead, and leaves the group when the rest is settled.
    pub(super) fn leave(&self, within: Duration) {
        self.desk.end();
        self.desk.change(|lanes, _| lanes.leave(|_| true));
        self.departure.ask(within);
    }
}
