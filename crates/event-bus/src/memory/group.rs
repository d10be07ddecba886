//! One subscription: what is unsettled, and which of it may be handed out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::state::Entry;
use crate::backend::Receipt;
use crate::backlog::Backlog;
use crate::dead_letter::add_reason;
use crate::message::Message;
use crate::subscription::{Order, Subscription};

/// One subscription. Every unsettled message before the cursor is in exactly one of these places: `ready`, `delayed`,
/// `held`, `dead`, or waiting in its lane behind another.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) order: Order,
    /// Something may be deliverable now, or the bus was closed.
    pub(super) changed: Arc<Notify>,
    /// Messages at or after the cursor.
    pub(super) behind: u64,
    /// The next sequence number to take from the log.
    cursor: u64,
    items: BTreeMap<u64, Item>,
    lanes: HashMap<String, Lane>,
    ready: BTreeSet<u64>,
    delayed: BTreeSet<(Instant, u64)>,
    held: HashMap<u64, Held>,
    dead: BTreeMap<u64, Dead>,
    last_fence: u64,
}

/// An unsettled message.
#[derive(Debug, Default)]
struct Item {
    key: Option<String>,
    attempts: u32,
    not_before: Option<Instant>,
    first_seen_at: Option<DateTime<Utc>>,
    first_failed_at: Option<DateTime<Utc>>,
    /// Of earlier rejections.
    reasons: Vec<String>,
}

/// The unsettled messages of one key.
#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeSet<u64>,
    /// The one that is `ready` or `delayed`.
    scheduled: Option<u64>,
    in_flight: bool,
}

/// A delivery in somebody's hands.
#[derive(Debug)]
struct Held {
    fence: u64,
    size: usize,
    /// How much its feed holds.
    load: Arc<Load>,
}

/// How much one feed holds.
#[derive(Debug, Default)]
pub(super) struct Load {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Load {
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether a message of this size fits; the only one always does.
    fn fits(&self, size: usize, max_bytes: usize) -> bool {
        self.count() == 0 || self.bytes.load(Ordering::Acquire).saturating_add(size) <= max_bytes
    }

    fn add(&self, size: usize) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(size, Ordering::AcqRel);
    }

    fn subtract(&self, size: usize) {
        self.count.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(size, Ordering::AcqRel);
    }
}

/// A rejected message.
#[derive(Debug)]
pub(super) struct Dead {
    item: Item,
    pub(super) rejected_at: DateTime<Utc>,
}

impl Dead {
    pub(super) fn attempts(&self) -> u32 {
        self.item.attempts
    }

    pub(super) fn reasons(&self) -> &[String] {
        &self.item.reasons
    }

    pub(super) fn first_failed_at(&self) -> DateTime<Utc> {
        self.item.first_failed_at.unwrap_or(self.rejected_at)
    }
}

/// What is handed out.
pub(super) struct Taken {
    pub(super) message: Message,
    pub(super) attempt: u32,
    pub(super) receipt: Receipt,
    pub(super) first_seen_at: Option<DateTime<Utc>>,
}

/// What a look for the next delivery found.
#[expect(
    clippy::large_enum_variant,
    reason = "made and matched at once, never stored"
)]
pub(super) enum Next {
    Taken(Taken),
    /// Not wanted by the subscription's filter: done with.
    Unwanted(u64),
    /// There is one, and it does not fit beside what the feed holds.
    NoRoom,
    Nothing,
}

impl Group {
    pub(super) fn new(order: Order, cursor: u64, behind: u64) -> Self {
        Self {
            order,
            changed: Arc::default(),
            behind,
            cursor,
            items: BTreeMap::new(),
            lanes: HashMap::new(),
            ready: BTreeSet::new(),
            delayed: BTreeSet::new(),
            held: HashMap::new(),
            dead: BTreeMap::new(),
            last_fence: 0,
        }
    }

    /// The next delivery, if there is one now. What waits already goes before what is still in the log.
    pub(super) fn take(
        &mut self,
        log: &BTreeMap<u64, Entry>,
        load: &Arc<Load>,
        wanted: &Subscription,
    ) -> Next {
        self.wake_due();
        loop {
            if let Some(&sequence) = self.ready.first() {
                // A ready message is unsettled, and an unsettled message is in the log.
                let Some(entry) = log.get(&sequence) else {
                    return Next::Nothing;
                };
                if !load.fits(entry.message.size(), wanted.max_bytes_in_flight) {
                    return Next::NoRoom;
                }
                self.ready.pop_first();
                return Next::Taken(self.hand_out(sequence, entry.message.clone(), load));
            }
            let Some((&sequence, entry)) = log.range(self.cursor..).next() else {
                return Next::Nothing;
            };
            self.cursor = sequence + 1;
            self.behind -= 1;
            if !wanted.filter.matches(&entry.message.event) {
                return Next::Unwanted(sequence);
            }
            let key = entry.message.key().map(ToOwned::to_owned);
            let item = Item {
                key: key.filter(|_| self.order == Order::PerKey),
                ..Item::default()
            };
            self.enter(sequence, item);
        }
    }

    /// The oldest message that is not settled, dead letters aside.
    pub(super) fn oldest(&self, log: &BTreeMap<u64, Entry>) -> Option<u64> {
        let behind = log
            .range(self.cursor..)
            .next()
            .map(|(sequence, _)| *sequence);
        let open = self.items.keys().next().copied();
        open.into_iter().chain(behind).min()
    }

    /// When the next delayed message is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Whether the receipt names a delivery that is still in somebody's hands.
    pub(super) fn holds(&self, receipt: Receipt) -> bool {
        self.held
            .get(&receipt.id)
            .is_some_and(|held| held.fence == receipt.fence)
    }

    /// Settled for good. The caller has checked that the receipt holds.
    pub(super) fn finish(&mut self, receipt: Receipt) {
        self.leave(receipt.id);
    }

    /// Back to its lane, not before the given time.
    pub(super) fn postpone(&mut self, receipt: Receipt, not_before: Option<Instant>) {
        let sequence = receipt.id;
        self.let_go(sequence);
        let Some(item) = self.items.get_mut(&sequence) else {
            return;
        };
        item.not_before = not_before;
        item.first_failed_at.get_or_insert_with(Utc::now);
        match item.key.clone() {
            Some(key) => self.lane_released(&key),
            None => self.schedule(sequence),
        }
    }

    /// To the dead letters. The message stays unsettled: it is kept until it is redriven or purged.
    pub(super) fn bury(&mut self, receipt: Receipt, reason: String) {
        if let Some(mut item) = self.leave(receipt.id) {
            add_reason(&mut item.reasons, reason);
            let rejected_at = Utc::now();
            item.first_failed_at.get_or_insert(rejected_at);
            self.dead.insert(receipt.id, Dead { item, rejected_at });
        }
    }

    pub(super) fn dead(&self) -> impl Iterator<Item = (u64, &Dead)> {
        self.dead.iter().map(|(sequence, dead)| (*sequence, dead))
    }

    /// Gives dead letters another life, before everything of their key that still waits.
    pub(super) fn redrive(&mut self, letters: &[u64]) {
        for sequence in letters {
            if let Some(dead) = self.dead.remove(sequence) {
                // Attempts begin again; what is known of the earlier ones stays.
                let item = Item {
                    attempts: 0,
                    not_before: None,
                    ..dead.item
                };
                self.enter(*sequence, item);
            }
        }
    }

    /// Forgets the dead letters; gives their sequence numbers.
    pub(super) fn purge(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.dead).into_keys().collect()
    }

    pub(super) fn backlog(&self) -> Backlog {
        let in_flight = self.held.len() as u64;
        let waiting = self.items.len() as u64 - in_flight + self.behind;
        Backlog::new(waiting, in_flight, self.dead.len() as u64)
    }

    fn enter(&mut self, sequence: u64, item: Item) {
        let key = item.key.clone();
        self.items.insert(sequence, item);
        match key {
            None => self.schedule(sequence),
            Some(key) => {
                self.lanes
                    .entry(key.clone())
                    .or_default()
                    .waiting
                    .insert(sequence);
                self.reschedule(&key);
            }
        }
    }

    fn hand_out(&mut self, sequence: u64, message: Message, load: &Arc<Load>) -> Taken {
        self.last_fence += 1;
        let fence = self.last_fence;
        let size = message.size();
        load.add(size);
        let load = Arc::clone(load);
        self.held.insert(sequence, Held { fence, size, load });
        let mut attempt = 1;
        let mut first_seen_at = None;
        if let Some(item) = self.items.get_mut(&sequence) {
            item.attempts += 1;
            attempt = item.attempts;
            first_seen_at = Some(*item.first_seen_at.get_or_insert_with(Utc::now));
            if let Some(lane) = item.key.as_ref().and_then(|key| self.lanes.get_mut(key)) {
                lane.scheduled = None;
                lane.in_flight = true;
            }
        }
        Taken {
            message,
            attempt,
            receipt: Receipt::new(sequence, fence),
            first_seen_at,
        }
    }

    fn let_go(&mut self, sequence: u64) {
        if let Some(held) = self.held.remove(&sequence) {
            held.load.subtract(held.size);
        }
    }

    fn leave(&mut self, sequence: u64) -> Option<Item> {
        self.let_go(sequence);
        let item = self.items.remove(&sequence)?;
        if let Some(key) = &item.key {
            if let Some(lane) = self.lanes.get_mut(key) {
                lane.waiting.remove(&sequence);
            }
            self.lane_released(key);
        }
        Some(item)
    }

    fn lane_released(&mut self, key: &str) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        lane.in_flight = false;
        if lane.waiting.is_empty() {
            self.lanes.remove(key);
        } else {
            self.reschedule(key);
        }
    }

    /// The oldest of a key, and no other, is scheduled, unless one of the key is in flight.
    fn reschedule(&mut self, key: &str) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        let head = lane.waiting.first().copied().filter(|_| !lane.in_flight);
        if lane.scheduled == head {
            return;
        }
        let before = std::mem::replace(&mut lane.scheduled, head);
        if let Some(sequence) = before {
            self.ready.remove(&sequence);
            if let Some(due) = self.items.get(&sequence).and_then(|item| item.not_before) {
                self.delayed.remove(&(due, sequence));
            }
        }
        if let Some(sequence) = head {
            self.schedule(sequence);
        }
    }

    fn schedule(&mut self, sequence: u64) {
        let due = self.items.get(&sequence).and_then(|item| item.not_before);
        match due {
            Some(due) if due > Instant::now() => {
                self.delayed.insert((due, sequence));
            }
            _ => {
                self.ready.insert(sequence);
            }
        }
    }

    fn wake_due(&mut self) {
        let now = Instant::now();
        while let Some(&(due, sequence)) = self.delayed.first()
            && due <= now
        {
            self.delayed.pop_first();
            self.ready.insert(sequence);
        }
    }
}
