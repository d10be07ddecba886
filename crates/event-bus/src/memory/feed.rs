//! One member of a subscription.

use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::group::{Group, Load, Next};
use super::settle::MemorySettler;
use super::state::State;
use super::{Shared, closed};
use crate::backend::{Feed, Incoming, Settler};
use crate::error::{Error, ErrorKind};
use crate::subscription::{Start, Subscription};

/// Hands out what its subscription has, as long as it holds fewer deliveries than it may.
pub(super) struct MemoryFeed {
    shared: Arc<Shared>,
    subscription: Subscription,
    changed: Arc<Notify>,
    /// Deliveries that this feed handed out and that are not settled.
    load: Arc<Load>,
}

/// What a look at the subscription found.
#[expect(
    clippy::large_enum_variant,
    reason = "made and matched at once, never stored"
)]
enum Look {
    Delivery(Incoming),
    Wait(Option<Instant>),
    Closed,
}

impl MemoryFeed {
    /// Makes the subscription if it is new.
    pub(super) fn join(shared: Arc<Shared>, subscription: Subscription) -> Result<Self, Error> {
        let changed = {
            let mut state = shared.state();
            if state.closing {
                return Err(closed("subscribe"));
            }
            let topic = &subscription.topic;
            let known = state
                .topics
                .get(topic)
                .is_some_and(|topic| topic.groups.contains_key(&subscription.name));
            state.publish_due();
            let first = match &subscription.start {
                Start::Earliest => 0,
                Start::Latest => state.next_sequence(),
                Start::Time(time) => state.first_since(topic, *time),
                Start::Position(position) => position.parse().map_err(|_| {
                    let problem = format!("{position:?} is no position of a memory bus");
                    Error::new(ErrorKind::Config, "subscribe", problem)
                })?,
            };
            let behind = if known {
                0
            } else {
                state.claim_from(topic, first)
            };
            let groups = &mut state.topics.entry(topic.clone()).or_default().groups;
            let group = match groups.entry(subscription.name.clone()) {
                MapEntry::Occupied(group) => group.into_mut(),
                MapEntry::Vacant(empty) => {
                    empty.insert(Group::new(subscription.order, first, behind))
                }
            };
            if group.order != subscription.order {
                let problem = format!(
                    "subscription {} of topic {topic} exists as {:?}, not {:?}; members share one order",
                    subscription.name, group.order, subscription.order
                );
                return Err(Error::new(ErrorKind::Config, "subscribe", problem));
            }
            Arc::clone(&group.changed)
        };
        Ok(Self {
            shared,
            subscription,
            changed,
            load: Arc::default(),
        })
    }

    fn look(&self) -> Result<Look, Error> {
        let mut state = self.shared.state();
        if state.closing {
            return Ok(Look::Closed);
        }
        state.publish_due();
        if self.load.count() >= self.subscription.max_in_flight {
            return Ok(Look::Wait(None));
        }
        loop {
            match self.next(&mut state)? {
                Next::Taken(taken) => {
                    self.shared.in_flight.fetch_add(1, Ordering::AcqRel);
                    let position = taken.receipt.id.to_string();
                    let incoming =
                        Incoming::new(Ok(taken.message), taken.attempt, position, taken.receipt)
                            .with_first_seen_at(taken.first_seen_at);
                    return Ok(Look::Delivery(incoming));
                }
                Next::Unwanted(sequence) => {
                    state.done(&self.subscription.topic, sequence);
                    self.shared.settled.notify_waiters();
                }
                Next::NoRoom => return Ok(Look::Wait(None)),
                Next::Nothing => {
                    let due = self.group(&mut state)?.next_due();
                    let scheduled = state.next_scheduled();
                    return Ok(Look::Wait(due.into_iter().chain(scheduled).min()));
                }
            }
        }
    }

    fn next(&self, state: &mut State) -> Result<Next, Error> {
        let topic = state.topics.get_mut(&self.subscription.topic);
        let topic = topic.ok_or_else(gone)?;
        let group = topic.groups.get_mut(&self.subscription.name);
        let group = group.ok_or_else(gone)?;
        Ok(group.take(&topic.log, &self.load, &self.subscription))
    }

    fn group<'state>(&self, state: &'state mut State) -> Result<&'state mut Group, Error> {
        let Subscription { topic, name, .. } = &self.subscription;
        state.group("receive", topic, name)
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Backend, "receive", "the subscription is gone")
}
#[async_trait]
impl Feed for MemoryFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        loop {
            // Made before the look: a change between the look and the wait is not missed.
            let changed = self.changed.notified();
            match self.look()? {
                Look::Delivery(incoming) => return Ok(Some(incoming)),
                Look::Closed => return Ok(None),
                Look::Wait(None) => changed.await,
                Look::Wait(Some(due)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }

    fn settler(&self) -> Arc<dyn Settler> {
        Arc::new(MemorySettler {
            shared: Arc::clone(&self.shared),
            topic: self.subscription.topic.clone(),
            name: self.subscription.name.clone(),
        })
    }

    async fn close(self: Box<Self>) {}
}
