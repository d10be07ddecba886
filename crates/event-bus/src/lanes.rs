//! Order per key over an in-order stream.
//!
//! Kafka and RabbitMQ hand a consumer one stream; this turns it into lanes: the head of each key is handed out, the rest
//! of the key waits until the head is settled, other keys go on. A retry waits here, in the process, so the partition or
//! queue behind it moves on. Nothing here knows a broker or a lock: the caller locks, and [`Desk`] adds the waiting. The time
//! that decides something is passed in.
//!
//! What a connection loss or a rebalance does: [`Lanes::revoke`] forgets what was not handed out, because the broker will
//! deliver it again, and keeps what is in a handler's hands as an *orphan*. An orphan can no longer be settled, but its key
//! stays blocked until the handler lets go, so the redelivered copy never runs beside it. Attempts and retry delays of
//! revoked messages are remembered (bounded) and applied when the same message comes back to this process.

mod departure;
mod desk;
#[cfg(test)]
mod hand_over;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::backend::Receipt;

pub(crate) use departure::Departure;
pub(crate) use desk::Desk;

/// What a stream offers: one message on its way to a lane.
#[derive(Debug)]
pub(crate) struct Arrival<T, I> {
    /// The ordering key; `None` keeps no order with anything.
    pub(crate) key: Option<Bytes>,
    /// Recognises the same message when the broker delivers it again.
    pub(crate) identity: Option<I>,
    /// Deliveries that the broker has counted before this one.
    pub(crate) earlier_attempts: u32,
    /// What it weighs against the bounds in bytes.
    pub(crate) size: usize,
    /// The message itself, cheap to clone: it is kept until it is settled.
    pub(crate) item: T,
}

/// One hand-out of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandedOut<T> {
    pub(crate) receipt: Receipt,
    pub(crate) attempt: u32,
    /// When the message was first handed out, in this process.
    pub(crate) first_seen: DateTime<Utc>,
    pub(crate) item: T,
}

/// The receipt does not name a message that is handed out now: settled, handed out again, or revoked meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stale;

/// The time after a delay; a delay beyond what the clock can count is as good as for ever: thirty years.
pub(crate) fn after(from: Instant, delay: Duration) -> Instant {
    from.checked_add(delay)
        .unwrap_or_else(|| from + Duration::from_hours(30 * 365 * 24))
}

/// How much may be held and handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Messages handed out and not settled.
    pub(crate) in_flight: usize,
    /// Bytes of messages handed out and not settled; a message on its own is handed out whatever its size.
    pub(crate) bytes: usize,
    /// Messages held in all, handed out or not; beyond it [`Lanes::has_room`] is false and the intake must pause.
    pub(crate) held: usize,
    /// Bytes of messages held in all.
    #[cfg_attr(
        not(any(feature = "kafka", test)),
        expect(dead_code, reason = "RabbitMQ bounds itself by its prefetch")
    )]
    pub(crate) held_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Behind the head of its lane.
    Queued,
    Ready,
    /// For its `not_before`.
    Waiting,
    /// In a handler's hands.
    Out,
    /// In a handler's hands, but the broker has taken it back.
    Orphan,
}

#[derive(Debug)]
struct Slot<T, I> {
    key: Option<Bytes>,
    identity: Option<I>,
    item: T,
    size: usize,
    history: History,
    not_before: Option<Instant>,
    fence: u64,
    state: State,
    /// On the way out: it may be settled, but it is not handed out again.
    leaving: bool,
}

/// What happened to a message so far.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    attempt: u32,
    first_seen: Option<DateTime<Utc>>,
    first_failed: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    history: History,
    not_before: Option<Instant>,
}

/// The lanes of one subscription in one process.
#[derive(Debug)]
pub(crate) struct Lanes<T, I> {
    ordered: bool,
    bounds: Bounds,
    slots: HashMap<u64, Slot<T, I>>,
    /// Ids per key in arrival order; the front is the head. Only ordered subscriptions have lanes.
    by_key: HashMap<Bytes, VecDeque<u64>>,
    /// Ids that may be handed out, oldest arrival first.
    ready: BTreeSet<u64>,
    timers: BTreeSet<(Instant, u64)>,
    /// What is remembered of revoked messages, and in which order to forget it.
    memories: HashMap<I, Memory>,
    forget_order: VecDeque<I>,
    out: usize,
    out_bytes: usize,
    orphans: usize,
    /// Of everything held but orphans.
    held_bytes: usize,
    next_id: u64,
    next_fence: u64,
}

impl<T: Clone, I: Clone + Eq + Hash> Lanes<T, I> {
    pub(crate) fn new(ordered: bool, bounds: Bounds) -> Self {
        Self {
            ordered,
            bounds,
            slots: HashMap::new(),
            by_key: HashMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            memories: HashMap::new(),
            forget_order: VecDeque::new(),
            out: 0,
            out_bytes: 0,
            orphans: 0,
            held_bytes: 0,
            next_id: 0,
            next_fence: 1,
        }
    }

    /// Takes the next message of the stream. The caller stops when [`Self::has_room`] is false; what is already on its way
    /// then is still taken.
    pub(crate) fn push(&mut self, arrival: Arrival<T, I>) {
        let Arrival {
            key,
            identity,
            earlier_attempts,
            size,
            item,
        } = arrival;
        let id = self.next_id;
        self.next_id += 1;
        let memory = identity
            .as_ref()
            .and_then(|identity| self.memories.remove(identity))
            .unwrap_or_default();
        let key = key.filter(|_| self.ordered);
        let is_head = key.as_ref().is_none_or(|key| {
            let lane = self.by_key.entry(key.clone()).or_default();
            lane.push_back(id);
            lane.len() == 1
        });
        let slot = Slot {
            key,
            identity,
            item,
            size,
            history: History {
                attempt: earlier_attempts.max(memory.history.attempt),
                ..memory.history
            },
            not_before: memory.not_before,
            fence: 0,
            state: State::Queued,
            leaving: false,
        };
        self.slots.insert(id, slot);
        self.held_bytes += size;
        if is_head {
            self.activate(id);
        }
    }

    /// Whether the intake may go on.
    // RabbitMQ bounds itself by its prefetch, and leaves by closing its channel.
    #[cfg(any(feature = "kafka", test))]
    pub(crate) fn has_room(&self) -> bool {
        self.slots.len() - self.orphans < self.bounds.held
            && self.held_bytes < self.bounds.held_bytes
    }

    /// Whether at least half of the room is free: where a paused intake resumes, so that it does not flutter.
    // RabbitMQ bounds itself by its prefetch, and leaves by closing its channel.
    #[cfg(any(feature = "kafka", test))]
    pub(crate) fn is_half_empty(&self) -> bool {
        (self.slots.len() - self.orphans) * 2 <= self.bounds.held
            && self.held_bytes <= self.bounds.held_bytes / 2
    }

    /// Messages handed out and not settled; orphans are no longer this subscription's and do not count.
    pub(crate) fn in_flight(&self) -> usize {
        self.out - self.orphans
    }

    /// Messages held here that are not handed out.
    pub(crate) fn waiting(&self) -> usize {
        self.slots.len() - self.out
    }

    /// Bytes of messages held, handed out or not.
    #[cfg(any(feature = "rabbitmq", test))]
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Hands out the oldest message that may run now.
    pub(crate) fn next(&mut self, now: Instant) -> Option<HandedOut<T>> {
        if self.out >= self.bounds.in_flight {
            return None;
        }
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.state = State::Ready;
                slot.not_before = None;
                self.ready.insert(id);
            }
        }
        let id = *self.ready.first()?;
        let slot = self.slots.get_mut(&id)?;
        // The oldest waits for room instead of being overtaken by smaller ones for ever.
        if self.out > 0 && self.out_bytes.saturating_add(slot.size) > self.bounds.bytes {
            return None;
        }
        self.ready.remove(&id);
        slot.state = State::Out;
        slot.history.attempt = slot.history.attempt.saturating_add(1);
        let first_seen = *slot.history.first_seen.get_or_insert_with(Utc::now);
        slot.fence = self.next_fence;
        self.next_fence += 1;
        self.out += 1;
        self.out_bytes += slot.size;
        Some(HandedOut {
            receipt: Receipt::new(id, slot.fence),
            attempt: slot.history.attempt,
            first_seen,
            item: slot.item.clone(),
        })
    }

    /// When [`Self::next`] is worth another call although nothing else happens.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        if self.out >= self.bounds.in_flight {
            return None;
        }
        self.timers.first().map(|(at, _)| *at)
    }

    /// The message of a receipt, if it may still be settled, and the attempt it was handed out with.
    pub(crate) fn held(&self, receipt: Receipt) -> Result<(T, u32), Stale> {
        match self.slots.get(&receipt.id) {
            Some(slot) if slot.fence == receipt.fence && slot.state == State::Out => {
                Ok((slot.item.clone(), slot.history.attempt))
            }
            _ => Err(Stale),
        }
    }

    /// When an attempt at the message first failed, in this process; `None` when none has.
    pub(crate) fn first_failed(&self, receipt: Receipt) -> Option<DateTime<Utc>> {
        self.slots.get(&receipt.id)?.history.first_failed
    }

    /// The message is settled for good; the next one of its key may run.
    pub(crate) fn finish(&mut self, receipt: Receipt) -> Result<T, Stale> {
        self.held(receipt)?;
        self.let_go(receipt.id);
        self.remove(receipt.id).map(|slot| slot.item).ok_or(Stale)
    }

    /// The message waits in its lane until `at` and is then handed out again.
    pub(crate) fn retry(&mut self, receipt: Receipt, at: Instant) -> Result<(), Stale> {
        self.held(receipt)?;
        self.give_back(receipt.id, Some(at));
        Ok(())
    }

    /// The handler let go of the message without settling it: it is handed out again, and an orphan is forgotten.
    pub(crate) fn release(&mut self, receipt: Receipt) {
        match self.slots.get(&receipt.id) {
            Some(slot) if slot.fence != receipt.fence => {}
            Some(slot) if slot.state == State::Out => self.give_back(receipt.id, None),
            Some(slot) if slot.state == State::Orphan => {
                self.let_go(receipt.id);
                self.orphans -= 1;
                self.remove(receipt.id);
            }
            _ => {}
        }
    }

    /// The message goes back to the broker, which delivers it again; what happened to it is remembered.
    #[cfg(any(feature = "rabbitmq", test))]
    pub(crate) fn hand_back(&mut self, receipt: Receipt) -> Result<T, Stale> {
        let (item, _) = self.held(receipt)?;
        if let Some(slot) = self.slots.get_mut(&receipt.id) {
            slot.leaving = true;
        }
        self.give_back(receipt.id, None);
        Ok(item)
    }

    /// Whether a message waits for its time.
    #[cfg(any(feature = "rabbitmq", test))]
    pub(crate) fn is_waiting(&self, of: impl Fn(&T) -> bool) -> bool {
        let mut slots = self.slots.values();
        slots.any(|slot| slot.not_before.is_some() && of(&slot.item))
    }

    /// First half of a revocation: what was not handed out is forgotten, what is handed out may still be settled but is not
    /// handed out again.
    #[cfg(any(feature = "kafka", feature = "rabbitmq", test))]
    pub(crate) fn leave(&mut self, of: impl Fn(&T) -> bool) {
        for id in self.ids(of) {
            match self.slots.get_mut(&id) {
                Some(slot) if slot.state == State::Out => slot.leaving = true,
                Some(slot) if slot.state == State::Orphan => {}
                _ => self.forget(id),
            }
        }
    }

    /// Messages handed out that may still be settled.
    pub(crate) fn out_of(&self, of: impl Fn(&T) -> bool) -> usize {
        self.slots
            .values()
            .filter(|slot| slot.state == State::Out && of(&slot.item))
            .count()
    }

    /// The broker has taken the messages back: nothing of them can be settled from now on.
    pub(crate) fn revoke(&mut self, of: impl Fn(&T) -> bool) {
        for id in self.ids(of) {
            let Some(slot) = self.slots.get_mut(&id) else {
                continue;
            };
            match slot.state {
                State::Orphan => {}
                State::Out => {
                    slot.state = State::Orphan;
                    self.orphans += 1;
                    self.held_bytes -= slot.size;
                    let memory = Memory {
                        history: slot.history,
                        not_before: None,
                    };
                    if let Some(identity) = slot.identity.clone() {
                        self.remember(identity, memory);
                    }
                }
                _ => self.forget(id),
            }
        }
    }

    /// Ids in arrival order, so that what came last is remembered longest.
    fn ids(&self, of: impl Fn(&T) -> bool) -> Vec<u64> {
        let mut ids: Vec<u64> = self
            .slots
            .iter()
            .filter(|(_, slot)| of(&slot.item))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// A message has become the head of its lane, or has none: it runs now or at its time.
    fn activate(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if let Some(at) = slot.not_before {
            slot.state = State::Waiting;
            self.timers.insert((at, id));
        } else {
            slot.state = State::Ready;
            self.ready.insert(id);
        }
    }

    /// A message is no longer in a handler's hands.
    fn let_go(&mut self, id: u64) {
        self.out -= 1;
        if let Some(slot) = self.slots.get(&id) {
            self.out_bytes -= slot.size;
        }
    }

    fn give_back(&mut self, id: u64, at: Option<Instant>) {
        self.let_go(id);
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.history.first_failed.get_or_insert_with(Utc::now);
        slot.not_before = at;
        slot.state = State::Queued;
        if slot.leaving {
            self.forget(id);
        } else {
            self.activate(id);
        }
    }

    /// Drops a message that is not handed out and remembers how often it was and how long it must wait.
    fn forget(&mut self, id: u64) {
        let Some(slot) = self.remove(id) else { return };
        if let Some(identity) = slot.identity
            && (slot.history.attempt > 0 || slot.not_before.is_some())
        {
            self.remember(
                identity,
                Memory {
                    history: slot.history,
                    not_before: slot.not_before,
                },
            );
        }
    }

    /// Takes a message out of every index; if it was the head of its lane, the next one becomes it.
    fn remove(&mut self, id: u64) -> Option<Slot<T, I>> {
        let slot = self.slots.remove(&id)?;
        // An orphan's weight went when it was revoked.
        if slot.state != State::Orphan {
            self.held_bytes -= slot.size;
        }
        self.ready.remove(&id);
        if let Some(at) = slot.not_before {
            self.timers.remove(&(at, id));
        }
        if let Some(key) = &slot.key
            && let Some(lane) = self.by_key.get_mut(key)
        {
            let was_head = lane.front() == Some(&id);
            if was_head {
                lane.pop_front();
            } else {
                lane.retain(|other| *other != id);
            }
            let head = lane.front().copied();
            match head {
                None => {
                    self.by_key.remove(key);
                }
                Some(head) if was_head => self.activate(head),
                Some(_) => {}
            }
        }
        Some(slot)
    }

    /// As many memories as messages may be held: older ones are of partitions that did not come back.
    fn remember(&mut self, identity: I, memory: Memory) {
        if self.memories.insert(identity.clone(), memory).is_none() {
            self.forget_order.push_back(identity);
        }
        // Memories taken by `push` leave their place in the order behind; it is dropped here.
        while self.forget_order.len() > self.bounds.held {
            if let Some(oldest) = self.forget_order.pop_front() {
                self.memories.remove(&oldest);
            }
        }
    }
}
