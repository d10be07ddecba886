//! What one member holds: messages fetched ahead, and those in its user's hands. Nothing here does I/O or reads a clock.
//!
//! SQS gives out several messages of one group in one answer, and none more of it until they are settled. The first is
//! handed out; the others *follow* here, in their order, each when the one before it is settled. When the first goes back,
//! its followers go back with it: SQS keeps them behind it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::call::Parcel;
use crate::backend::Receipt;
use crate::message::{Message, Undecodable};

/// From the first receive on, SQS keeps a message invisible no longer than this.
const LONGEST_HOLD: Duration = Duration::from_hours(12);
/// Message ids whose uncounted receives are remembered.
const MEMORIES: usize = 10_000;

/// A message that was received and is not settled.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) parcel: Parcel,
    pub(super) body: Result<Message, Undecodable>,
    pub(super) bytes: usize,
}

/// A message as it is handed out.
#[derive(Clone, Debug)]
pub(super) struct HandedOut {
    pub(super) receipt: Receipt,
    pub(super) item: Arc<Item>,
    pub(super) attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Behind another of its group.
    Following,
    Ready,
    /// In the user's hands.
    Out,
    /// On its way out of here: no heartbeat for it.
    Settling,
}

#[derive(Debug)]
struct Entry {
    item: Arc<Item>,
    state: State,
    attempt: u32,
    /// Until when it is invisible to others, by our clock and not later than by SQS's.
    until: Instant,
    /// When SQS ends its invisibility whatever is asked.
    ends: Instant,
}

/// Its message is no longer held here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// How much a member holds at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// What one member holds.
#[derive(Debug)]
pub(super) struct Desk {
    bounds: Bounds,
    entries: BTreeMap<u64, Entry>,
    ready: VecDeque<u64>,
    /// Of each group, in order; the first is ready or out.
    groups: HashMap<String, VecDeque<u64>>,
    bytes: usize,
    /// Bytes were the reason to give something back; nothing more is fetched until something is settled.
    full: bool,
    /// Receives of a message that ended before anybody was handed it, for the newest of them.
    uncounted: HashMap<String, u32>,
    forget_order: VecDeque<String>,
    next_id: u64,
    closed: bool,
}

impl Desk {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: BTreeMap::new(),
            ready: VecDeque::new(),
            groups: HashMap::new(),
            bytes: 0,
            full: false,
            uncounted: HashMap::new(),
            forget_order: VecDeque::new(),
            next_id: 0,
            closed: false,
        }
    }

    /// How many messages may be fetched now. When followers take all the room and nothing can be handed out, they make
    /// way: their handles are to be released.
    pub(super) fn room(&mut self) -> (usize, Vec<String>) {
        let mut released = Vec::new();
        if self.closed || !self.ready.is_empty() || self.full {
            return (0, released);
        }
        if self.entries.len() >= self.bounds.messages || self.bytes >= self.bounds.bytes {
            let groups: Vec<String> = self.groups.keys().cloned().collect();
            for group in groups {
                released.extend(self.give_back_followers(&group, 1));
            }
        }
        if self.bytes >= self.bounds.bytes && !self.entries.is_empty() {
            return (0, released);
        }
        (
            self.bounds.messages.saturating_sub(self.entries.len()),
            released,
        )
    }

    /// Takes what was received, invisible from `since` on for `lease`. What it has no room for comes back, to be released.
    pub(super) fn put(&mut self, items: Vec<Item>, since: Instant, lease: Duration) -> Vec<String> {
        let mut released = Vec::new();
        let mut refused: Vec<String> = Vec::new();
        for item in items {
            let group = item.parcel.group.clone();
            // Behind one of its group that has no room there is no place.
            let behind = group.as_ref().is_some_and(|group| refused.contains(group));
            let fits = self.entries.is_empty() || self.bytes + item.bytes <= self.bounds.bytes;
            if self.closed || behind || !fits {
                self.full |= !self.closed && !fits;
                self.uncount(&item.parcel.id);
                released.push(item.parcel.handle);
                refused.extend(group);
                continue;
            }
            let id = self.next_id;
            self.next_id += 1;
            self.bytes += item.bytes;
            let first = group.is_none_or(|group| {
                let row = self.groups.entry(group).or_default();
                row.push_back(id);
                row.len() == 1
            });
            let uncounted = self.uncounted.get(&item.parcel.id).copied().unwrap_or(0);
            let entry = Entry {
                attempt: item.parcel.receives.saturating_sub(uncounted).max(1),
                item: Arc::new(item),
                state: if first {
                    State::Ready
                } else {
                    State::Following
                },
                until: since + lease,
                ends: since + LONGEST_HOLD,
            };
            if first {
                self.ready.push_back(id);
            }
            self.entries.insert(id, entry);
        }
        released
    }

    /// Hands out the message that waits longest.
    pub(super) fn next(&mut self, now: Instant) -> Option<HandedOut> {
        while let Some(id) = self.ready.pop_front() {
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            if entry.until <= now {
                // Somebody else's by now: it is forgotten with what else has expired.
                continue;
            }
            entry.state = State::Out;
            return Some(HandedOut {
                receipt: Receipt::new(id, 1),
                item: Arc::clone(&entry.item),
                attempt: entry.attempt,
            });
        }
        None
    }

    /// The message of a receipt, if it may still be settled.
    pub(super) fn held(&self, receipt: Receipt, now: Instant) -> Result<HandedOut, Lost> {
        let entry = self.entries.get(&receipt.id).ok_or(Lost)?;
        if entry.state != State::Out || entry.until <= now {
            return Err(Lost);
        }
        Ok(HandedOut {
            receipt,
            item: Arc::clone(&entry.item),
            attempt: entry.attempt,
        })
    }

    /// The same, on its way out: no heartbeat touches it from here on. With when SQS ends its invisibility.
    pub(super) fn begin(
        &mut self,
        receipt: Receipt,
        now: Instant,
    ) -> Result<(String, Instant), Lost> {
        self.held(receipt, now)?;
        let entry = self.entries.get_mut(&receipt.id).ok_or(Lost)?;
        entry.state = State::Settling;
        Ok((entry.item.parcel.handle.clone(), entry.ends))
    }

    /// It did not get out: as before.
    pub(super) fn undo(&mut self, receipt: Receipt) {
        if let Some(entry) = self.entries.get_mut(&receipt.id) {
            entry.state = State::Out;
        }
    }

    /// Settled for good: the next of its group may run.
    pub(super) fn finish(&mut self, receipt: Receipt) -> Result<(), Lost> {
        let entry = self.remove(receipt.id).ok_or(Lost)?;
        self.uncounted.remove(&entry.item.parcel.id);
        let Some(group) = &entry.item.parcel.group else {
            return Ok(());
        };
        let Some(row) = self.groups.get_mut(group) else {
            return Ok(());
        };
        row.retain(|id| *id != receipt.id);
        match row.front().copied() {
            None => {
                self.groups.remove(group);
            }
            Some(next) => {
                if let Some(next_entry) = self.entries.get_mut(&next)
                    && next_entry.state == State::Following
                {
                    next_entry.state = State::Ready;
                    self.ready.push_back(next);
                }
            }
        }
        Ok(())
    }

    /// What follows a message in its group is released before the message itself.
    pub(super) fn followers_of(&mut self, receipt: Receipt) -> Vec<String> {
        let entry = self.entries.get(&receipt.id);
        match entry.and_then(|entry| entry.item.parcel.group.clone()) {
            Some(group) => self.give_back_followers(&group, 1),
            None => Vec::new(),
        }
    }

    /// Forgets a message that went back, when its followers did before.
    pub(super) fn forget(&mut self, receipt: Receipt) {
        if let Some(entry) = self.remove(receipt.id)
            && let Some(group) = &entry.item.parcel.group
        {
            self.groups.remove(group);
        }
    }

    /// Forgets a message that goes back: its handle, unless it was gone, after those of its followers.
    pub(super) fn let_go(&mut self, receipt: Receipt) -> Vec<String> {
        let mut released = self.followers_of(receipt);
        if let Some(entry) = self.remove(receipt.id) {
            if let Some(group) = &entry.item.parcel.group {
                self.groups.remove(group);
            }
            released.push(entry.item.parcel.handle.clone());
        }
        released
    }

    /// Whether a heartbeat is due before `horizon`, and for which: receipt, handle, seconds to ask for.
    pub(super) fn due(
        &self,
        now: Instant,
        horizon: Duration,
        lease: Duration,
    ) -> Vec<(u64, String, i32)> {
        let mut due = Vec::new();
        for (id, entry) in &self.entries {
            if entry.state == State::Settling || entry.until <= now || entry.until > now + horizon {
                continue;
            }
            // Whole seconds within the twelve hours; with none left, it ends.
            let left = entry
                .ends
                .saturating_duration_since(now)
                .min(lease)
                .as_secs();
            if now + Duration::from_secs(left) > entry.until
                && let Ok(seconds) = i32::try_from(left)
            {
                due.push((*id, entry.item.parcel.handle.clone(), seconds));
            }
        }
        due
    }

    /// A heartbeat was answered.
    pub(super) fn extended(&mut self, id: u64, until: Instant) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.until = entry.until.max(until);
        }
    }

    /// A message is somebody else's now: it is forgotten. Its followers are to be released.
    pub(super) fn lose(&mut self, id: u64) -> Vec<String> {
        // Releasing what is lost does nothing to who has it now: its handle is of before.
        self.let_go(Receipt::new(id, 1))
    }

    /// What nobody holds any more, because its time is up. Their followers are to be released.
    pub(super) fn expire(&mut self, now: Instant) -> (usize, Vec<String>) {
        let over = |entry: &Entry| entry.until <= now && entry.state != State::Settling;
        let expired: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, it)| over(it))
            .map(|(id, _)| *id)
            .collect();
        let released = expired.iter().flat_map(|id| self.lose(*id)).collect();
        (expired.len(), released)
    }

    /// Nothing is handed out any more; what was not is to be released.
    pub(super) fn close(&mut self) -> Vec<String> {
        self.closed = true;
        self.ready.clear();
        let unreceived = |entry: &Entry| matches!(entry.state, State::Ready | State::Following);
        let ids: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, it)| unreceived(it))
            .map(|(id, _)| *id)
            .collect();
        // The last of a group first, so that none is visible while one before it is not.
        let mut released = Vec::with_capacity(ids.len());
        for id in ids.into_iter().rev() {
            if let Some(entry) = self.remove(id) {
                self.uncount(&entry.item.parcel.id);
                released.push(entry.item.parcel.handle.clone());
            }
        }
        let entries = &self.entries;
        self.groups.retain(|_, row| {
            row.retain(|id| entries.contains_key(id));
            !row.is_empty()
        });
        released
    }

    /// Everything, in whoever's hands, is to be released.
    pub(super) fn abandon(&mut self) -> Vec<String> {
        let mut released = self.close();
        let left = std::mem::take(&mut self.entries).into_values();
        released.extend(left.map(|entry| entry.item.parcel.handle.clone()));
        self.groups.clear();
        self.bytes = 0;
        released
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many are in the user's hands.
    pub(super) fn in_flight(&self) -> usize {
        let out = |entry: &&Entry| matches!(entry.state, State::Out | State::Settling);
        self.entries.values().filter(out).count()
    }

    /// Keeps the first `keep` of a group here; the handles of the others come back, the last first.
    fn give_back_followers(&mut self, group: &str, keep: usize) -> Vec<String> {
        let Some(row) = self.groups.get_mut(group) else {
            return Vec::new();
        };
        let surplus: Vec<u64> = row.drain(keep.min(row.len())..).collect();
        let mut released = Vec::with_capacity(surplus.len());
        for id in surplus.into_iter().rev() {
            if let Some(entry) = self.remove(id) {
                self.uncount(&entry.item.parcel.id);
                released.push(entry.item.parcel.handle.clone());
            }
        }
        released
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.bytes -= entry.item.bytes;
        self.full = false;
        Some(entry)
    }

    /// SQS counted a receive that was no attempt.
    fn uncount(&mut self, message: &str) {
        if let Some(times) = self.uncounted.get_mut(message) {
            *times += 1;
            return;
        }
        self.uncounted.insert(message.to_owned(), 1);
        self.forget_order.push_back(message.to_owned());
        if self.forget_order.len() > MEMORIES
            && let Some(oldest) = self.forget_order.pop_front()
        {
            self.uncounted.remove(&oldest);
        }
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
