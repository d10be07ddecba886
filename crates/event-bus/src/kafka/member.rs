//! One member of a group, as its reader, its feed and its settlers share it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::completed::Completed;
use super::config::Config;
use super::frontier::{Commit, Frontier};
use super::offsets::Committed;
use super::record::Record;
use crate::backend::Receipt;
use crate::filter::Filter;
use crate::lanes::{Arrival, Bounds, Departure, Desk, Lanes, Stale};
use crate::message::{Message, Undecodable};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::{Order, Subscription};

/// What lanes may hold in bytes at least, so that a small bound on what is in flight does not make one key that waits
/// hold up all the others.
const LEAST_HELD_BYTES: usize = 1024 * 1024;

/// A record that was received and is not settled.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) record: Record,
    pub(super) body: Result<Message, Undecodable>,
}

pub(super) type Item = Arc<Held>;

/// Partition and offset.
type Identity = (i32, i64);

/// One assigned partition.
#[derive(Debug, Default)]
struct Assigned {
    frontier: Frontier,
    /// The client was told not to fetch it.
    paused: bool,
    /// So much is settled beyond the position that the metadata hardly holds it.
    crowded: bool,
}

/// The partitions that are assigned to a member.
#[derive(Debug)]
pub(super) struct Partitions {
    assigned: BTreeMap<i32, Assigned>,
    /// How long the metadata of a commit may be.
    metadata_limit: usize,
}

/// Where a partition is, as this process knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// The oldest record that is not settled, or the next.
    pub(super) position: i64,
    /// One past the last record received.
    pub(super) end: i64,
}

impl Partitions {
    /// Where each partition is that has received a record.
    pub(super) fn progress(&self) -> impl Iterator<Item = (i32, Progress)> {
        self.assigned.iter().filter_map(|(partition, assigned)| {
            let frontier = &assigned.frontier;
            let (position, end) = (frontier.position()?, frontier.end()?);
            Some((*partition, Progress { position, end }))
        })
    }

    /// How many records of a partition that were not received yet are settled already.
    pub(super) fn completed_before(&self, partition: i32, next: i64) -> u64 {
        self.assigned
            .get(&partition)
            .map_or(0, |assigned| assigned.frontier.completed_before(next))
    }

    /// What has moved since it was last given out, of all partitions or of some.
    pub(super) fn take_commit(&mut self, of: Option<&BTreeSet<i32>>) -> Vec<(i32, Commit)> {
        let limit = self.metadata_limit;
        let wanted = |partition: &i32| of.is_none_or(|of| of.contains(partition));
        self.assigned
            .iter_mut()
            .filter(|(partition, _)| wanted(partition))
            .filter_map(|(partition, assigned)| {
                let commit = assigned.frontier.take_commit(limit)?;
                // Paused at three quarters of what fits, until it is less than half.
                let size = assigned.frontier.metadata_size();
                assigned.crowded = size > limit / 4 * if assigned.crowded { 2 } else { 3 };
                Some((*partition, commit))
            })
            .collect()
    }

    /// Which partitions are to be paused and which resumed; empty when all are as they should be.
    pub(super) fn to_change(&self, full: bool) -> (Vec<i32>, Vec<i32>) {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (partition, assigned) in &self.assigned {
            match (assigned.paused, full || assigned.crowded) {
                (false, true) => pause.push(*partition),
                (true, false) => resume.push(*partition),
                _ => {}
            }
        }
        (pause, resume)
    }

    /// The client did so.
    pub(super) fn changed(&mut self, partitions: &[i32], paused: bool) {
        for partition in partitions {
            if let Some(assigned) = self.assigned.get_mut(partition) {
                assigned.paused = paused;
            }
        }
    }
}

/// One member of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) topic: TopicName,
    pub(super) name: SubscriptionName,
    pub(super) group: String,
    pub(super) instance: Option<String>,
    pub(super) lease: Duration,
    pub(super) max_bytes: usize,
    filter: Filter,
    pub(super) desk: Desk<Item, Identity, Partitions>,
    pub(super) departure: Departure,
}

impl Member {
    pub(super) fn new(
        subscription: Subscription,
        group: String,
        instance: Option<String>,
        config: &Config,
    ) -> Self {
        let Subscription {
            topic,
            name,
            order,
            max_in_flight,
            max_bytes_in_flight,
            filter,
            lease,
            ..
        } = subscription;
        let bounds = Bounds {
            in_flight: max_in_flight.max(1),
            bytes: max_bytes_in_flight,
            held: config.lookahead.max(max_in_flight),
            held_bytes: max_bytes_in_flight.max(LEAST_HELD_BYTES),
        };
        let partitions = Partitions {
            assigned: BTreeMap::new(),
            metadata_limit: config.commit_metadata,
        };
        Self {
            topic,
            name,
            group,
            instance,
            lease,
            max_bytes: max_bytes_in_flight,
            filter,
            desk: Desk::new(Lanes::new(order == Order::PerKey, bounds), partitions),
            departure: Departure::new(),
        }
    }

    /// The group gave these partitions to this member; `committed` is what it knows of them.
    pub(super) fn assigned(&self, partitions: &BTreeSet<i32>, committed: &Committed) {
        self.desk.change(|_, assigned| {
            for partition in partitions {
                let completed = committed
                    .get(partition)
                    .map_or_else(Completed::default, |known| known.completed.clone());
                let new = Assigned {
                    frontier: Frontier::after(completed),
                    ..Assigned::default()
                };
                assigned.assigned.insert(*partition, new);
            }
        });
    }

    /// These partitions go to another member: what is in flight has `within` to be settled, and what is settled after that is
    /// refused. Whether all was settled, and what there is to commit: all that was, in the same step.
    pub(super) fn give_up(
        &self,
        partitions: &BTreeSet<i32>,
        within: Duration,
    ) -> (bool, Vec<(i32, Commit)>) {
        self.desk.take_back(
            within,
            |item| partitions.contains(&item.record.partition),
            |assigned| {
                let commits = assigned.take_commit(Some(partitions));
                assigned
                    .assigned
                    .retain(|partition, _| !partitions.contains(partition));
                commits
            },
        )
    }

    /// Every partition goes, and nothing is waited for any more; what there is to commit.
    pub(super) fn give_up_all(&self) -> Vec<(i32, Commit)> {
        let (_, commits) = self.desk.take_back(
            Duration::ZERO,
            |_| true,
            |assigned| {
                let commits = assigned.take_commit(None);
                assigned.assigned.clear();
                commits
            },
        );
        commits
    }

    /// Takes a record from the partition's stream.
    pub(super) fn receive(&self, record: Record) {
        let unwanted = record.is_for_another(self.name.as_str()) || !record.is_wanted(&self.filter);
        let (partition, offset) = (record.partition, record.offset);
        let arrival = (!unwanted).then(|| self.arrival(record));
        self.desk.change(|lanes, assigned| {
            // Left over in the client's buffer from a partition that is not ours any more.
            let Some(Assigned { frontier, .. }) = assigned.assigned.get_mut(&partition) else {
                return;
            };
            if !frontier.receive(offset) {
                return;
            }
            match arrival {
                Some(arrival) => lanes.push(arrival),
                None => {
                    frontier.settle(offset);
                }
            }
        });
    }

    fn arrival(&self, record: Record) -> Arrival<Item, Identity> {
        let body = record.decode(&self.topic);
        let (key, size) = match &body {
            Ok(message) => (
                message
                    .key()
                    .map(|key| bytes::Bytes::copy_from_slice(key.as_bytes())),
                message.size(),
            ),
            Err(_) => (record.key.clone(), record.size()),
        };
        Arrival {
            key,
            identity: Some((record.partition, record.offset)),
            earlier_attempts: 0,
            size,
            item: Arc::new(Held { record, body }),
        }
    }

    /// The delivery is settled for good.
    pub(super) fn finish(&self, receipt: Receipt) -> Result<(), Stale> {
        self.desk.change(|lanes, assigned| {
            let item = lanes.finish(receipt)?;
            if let Some(assigned) = assigned.assigned.get_mut(&item.record.partition) {
                assigned.frontier.settle(item.record.offset);
            }
            Ok(())
        })
    }

    /// What was settled since it was last asked for.
    pub(super) fn to_commit(&self) -> Vec<(i32, Commit)> {
        self.desk.change(|_, assigned| assigned.take_commit(None))
    }

    /// A commit did not reach the broker.
    pub(super) fn commit_failed(&self, partitions: impl Iterator<Item = i32>) {
        self.desk.change(|_, assigned| {
            for partition in partitions {
                if let Some(assigned) = assigned.assigned.get_mut(&partition) {
                    assigned.frontier.commit_failed();
                }
            }
        });
    }

    /// The broker takes less metadata than was configured: none is written any more.
    pub(super) fn without_metadata(&self) {
        self.desk.change(|_, assigned| assigned.metadata_limit = 0);
    }

    /// Ends the feed, gives back what was fetched ahead, and leaves the group when the rest is settled.
    pub(super) fn leave(&self, within: Duration) {
        self.desk.end();
        self.desk.change(|lanes, _| lanes.leave(|_| true));
        self.departure.ask(within);
    }
}
