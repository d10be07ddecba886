//! One member of a subscription.

use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::group::Group;
use super::settle::MemorySettler;
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
    load: Arc<AtomicUsize>,
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
            let first = match subscription.start {
                Start::Earliest => 0,
                Start::Latest => state.next_sequence(),
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
        if self.load.load(Ordering::Acquire) >= self.subscription.max_in_flight {
            return Ok(Look::Wait(None));
        }
        let gone = || Error::new(ErrorKind::Backend, "receive", "the subscription is gone");
        let topic = state
            .topics
            .get_mut(&self.subscription.topic)
            .ok_or_else(gone)?;
        let group = topic
            .groups
            .get_mut(&self.subscription.name)
            .ok_or_else(gone)?;
        let Some(taken) = group.take(&topic.log, &self.load) else {
            return Ok(Look::Wait(group.next_due()));
        };
        self.shared.in_flight.fetch_add(1, Ordering::AcqRel);
        let position = taken.receipt.id.to_string();
        Ok(Look::Delivery(Incoming::new(
            Ok(taken.message),
            taken.attempt,
            position,
            taken.receipt,
        )))
    }
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
