//! What is to be delivered later: on which topic it waits, until when, and what of it waits in this process.
//!
//! A log keeps order by arrival, not by due time. So there is a topic per length of wait: all that stands in one waits
//! equally long, and the first is ready first. A message goes down from the longest wait that it has time for to the
//! topic of the last seconds, where a bounded number is held until each is due. Nothing here does I/O or knows a clock.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::frontier::{Commit, Frontier};
use super::offsets::Known;
use super::record::Record;
use crate::message::Message;
use crate::name::TopicName;

const TOPIC: &str = "commerce-delayed-topic";
const UNTIL: &str = "commerce-delayed-until";

/// One length of wait. The underscore keeps the topics apart from all that can be published to.
pub(super) struct Level {
    pub(super) topic: &'static str,
    /// In milliseconds: nothing stands here that has less time left.
    wait: i64,
    /// Records, and bytes of them, held here at most per partition.
    quota: (usize, usize),
}

const fn level(topic: &'static str, seconds: i64, quota: (usize, usize)) -> Level {
    Level {
        topic,
        wait: seconds * 1000,
        quota,
    }
}

/// In milliseconds.
const READING: i64 = 500;

const FEW: (usize, usize) = (100, 1024 * 1024);

/// From the last seconds up, each wait eight times the one before.
pub(super) static LEVELS: [Level; 6] = [
    level(
        "commerce-event-bus_delayed_soon",
        0,
        (4_000, 8 * 1024 * 1024),
    ),
    level("commerce-event-bus_delayed_4s", 4, FEW),
    level("commerce-event-bus_delayed_32s", 32, FEW),
    level("commerce-event-bus_delayed_4m", 256, FEW),
    level("commerce-event-bus_delayed_34m", 2_048, FEW),
    level("commerce-event-bus_delayed_5h", 16_384, FEW),
];

/// When a message is due, in milliseconds of the epoch, if that is still to come.
pub(super) fn due(message: &Message, now: DateTime<Utc>) -> Option<i64> {
    let due = message.deliver_at.filter(|due| *due > now)?;
    // Rounded up: never early.
    let millis = due.timestamp_millis();
    Some(millis.saturating_add(i64::from(due.timestamp_subsec_nanos() % 1_000_000 > 0)))
}

/// Where a record stands that has so much time left, in milliseconds.
pub(super) fn level_for(left: i64) -> &'static Level {
    let fitting = LEVELS.iter().rev().find(|level| level.wait <= left);
    fitting.unwrap_or(&LEVELS[0])
}

/// The record as it waits for its time.
pub(super) fn as_delayed(record: Record, topic: &TopicName, due: i64) -> Record {
    record
        .with(TOPIC, topic.to_string())
        .with(UNTIL, due.to_string())
}

/// Which topic a record is for, and when; `None` for what did not come from here.
fn destination(record: &Record) -> Option<(TopicName, i64)> {
    let topic = TopicName::new(record.header(TOPIC)?).ok()?;
    Some((topic, record.header(UNTIL)?.parse().ok()?))
}

/// A partition of a level's topic.
pub(super) type Place = (&'static str, i32);

/// A record that waits in this process.
#[derive(Debug)]
pub(super) struct Waiting {
    place: Place,
    arrival: u64,
    pub(super) topic: TopicName,
    pub(super) due: i64,
    pub(super) record: Record,
}

impl Waiting {
    /// The record as its topic gets it.
    pub(super) fn delivered(&self) -> Record {
        self.record.original()
    }

    /// The record as the next level gets it.
    pub(super) fn delayed_again(&self) -> Record {
        as_delayed(self.record.original(), &self.topic, self.due)
    }
}

/// One assigned partition.
#[derive(Debug, Default)]
struct Shelved {
    frontier: Frontier,
    held: usize,
    bytes: usize,
    paused: bool,
}

/// What waits in this process, of the partitions that are assigned to it.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// By the time to act on it, then by due time, then by arrival: one key's messages come in their order.
    waiting: BTreeMap<(i64, i64, u64), Waiting>,
    partitions: BTreeMap<Place, Shelved>,
    arrivals: u64,
    /// New partitions are read a little before anything is acted on, so that what fell due while nobody had them is put
    /// in order.
    reading_until: i64,
}

impl Shelf {
    pub(super) fn assigned(&mut self, place: Place, known: Option<Known>, now: i64) {
        self.reading_until = now.saturating_add(READING);
        let completed = known.map(|known| known.completed).unwrap_or_default();
        let shelved = Shelved {
            frontier: Frontier::after(completed),
            ..Shelved::default()
        };
        self.partitions.insert(place, shelved);
    }

    /// These partitions belong to another member.
    pub(super) fn revoked(&mut self, places: &BTreeSet<Place>) {
        self.waiting
            .retain(|_, waiting| !places.contains(&waiting.place));
        self.partitions.retain(|place, _| !places.contains(place));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes a record. False: it is none of ours, and passed over.
    pub(super) fn receive(&mut self, place: Place, record: Record, now: i64) -> bool {
        let Some(shelved) = self.partitions.get_mut(&place) else {
            return true;
        };
        if !shelved.frontier.receive(record.offset) {
            return true;
        }
        let Some((topic, due)) = destination(&record) else {
            shelved.frontier.settle(record.offset);
            return false;
        };
        shelved.held += 1;
        shelved.bytes += record.size();
        let written = record.timestamp.unwrap_or(now);
        let waiting = Waiting {
            place,
            arrival: self.arrivals,
            topic,
            due,
            record,
        };
        self.arrivals += 1;
        self.put(waiting, acts_at(place.0, due, written));
        true
    }

    /// Puts back what could not be handed over.
    pub(super) fn put(&mut self, waiting: Waiting, act_at: i64) {
        // Revoked meanwhile: another member has it.
        if self.partitions.contains_key(&waiting.place) {
            let key = (act_at, waiting.due, waiting.arrival);
            self.waiting.insert(key, waiting);
        }
    }

    /// When there is something to do.
    pub(super) fn next_at(&mut self, now: i64) -> Option<i64> {
        // Not until the clock is there again, where it was set back meanwhile.
        self.reading_until = self.reading_until.min(now.saturating_add(READING));
        let (at, _, _) = self.waiting.first_key_value()?.0;
        Some((*at).max(self.reading_until))
    }

    /// What is to be acted on now, in the order of the due times: late as it may be, a key's order is theirs.
    pub(super) fn take(&mut self, now: i64) -> Vec<Waiting> {
        let mut taken = Vec::new();
        while now >= self.reading_until
            && let Some(first) = self.waiting.first_entry()
            && first.key().0 <= now
        {
            taken.push(first.remove());
        }
        taken.sort_by_key(|waiting| (waiting.due, waiting.arrival));
        taken
    }

    /// Handed over, and confirmed.
    pub(super) fn settle(&mut self, waiting: &Waiting) {
        if let Some(shelved) = self.partitions.get_mut(&waiting.place) {
            shelved.frontier.settle(waiting.record.offset);
            shelved.held -= 1;
            shelved.bytes -= waiting.record.size();
        }
    }

    pub(super) fn take_commit(
        &mut self,
        of: Option<&BTreeSet<Place>>,
        limit: usize,
    ) -> Vec<(Place, Commit)> {
        self.partitions
            .iter_mut()
            .filter(|(place, _)| of.is_none_or(|of| of.contains(place)))
            .filter_map(|(place, shelved)| Some((*place, shelved.frontier.take_commit(limit)?)))
            .collect()
    }

    pub(super) fn commit_failed(&mut self, place: Place) {
        if let Some(shelved) = self.partitions.get_mut(&place) {
            shelved.frontier.commit_failed();
        }
    }

    /// Up to where each partition is done with.
    pub(super) fn positions(&self) -> Vec<(Place, i64)> {
        let position =
            |(place, shelved): (&Place, &Shelved)| Some((*place, shelved.frontier.position()?));
        self.partitions.iter().filter_map(position).collect()
    }

    /// Which partitions are to be paused and which resumed; what is asked for counts as done.
    pub(super) fn take_changes(&mut self) -> (Vec<Place>, Vec<Place>) {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (place, shelved) in &mut self.partitions {
            let (records, bytes) = quota(place.0);
            let is_full = shelved.held >= records || shelved.bytes >= bytes;
            let is_half_empty = shelved.held <= records / 2 && shelved.bytes <= bytes / 2;
            match shelved.paused {
                false if is_full => pause.push(*place),
                true if is_half_empty => resume.push(*place),
                _ => continue,
            }
            shelved.paused = !shelved.paused;
        }
        (pause, resume)
    }
}

fn level_named(topic: &str) -> &'static Level {
    let named = LEVELS.iter().find(|level| level.topic == topic);
    named.unwrap_or(&LEVELS[0])
}

fn quota(topic: &str) -> (usize, usize) {
    level_named(topic).quota
}

/// In the last level at its due time; above it when it has stood there long enough.
fn acts_at(topic: &str, due: i64, written: i64) -> i64 {
    match level_named(topic).wait {
        0 => due,
        wait => written.saturating_add(wait).min(due),
    }
}

/// The level of this name, for a topic's name that the client owns.
pub(super) fn place(topic: &str, partition: i32) -> Option<Place> {
    let level = LEVELS.iter().find(|level| level.topic == topic)?;
    Some((level.topic, partition))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use commerce_contracts::CloudEvent;
    use proptest::prelude::*;

    fn message() -> Message {
        let event = CloudEvent::new("/test", "test.done.v1").unwrap();
        Message::new(TopicName::new("orders").unwrap(), event)
    }

    fn delayed(offset: i64, due: i64, written: i64) -> Record {
        let message = message();
        let mut record = as_delayed(Record::of(&message), &message.topic, due);
        (record.offset, record.timestamp) = (offset, Some(written));
        record
    }

    fn place_of(left: i64) -> Place {
        (level_for(left).topic, 0)
    }

    #[test]
    fn due_is_rounded_up_and_the_past_is_now() {
        let now = DateTime::UNIX_EPOCH;
        let at = |delay| due(&message().with_deliver_at(now + delay), now);
        assert_eq!(at(TimeDelta::milliseconds(5)), Some(5));
        assert_eq!(at(TimeDelta::microseconds(5_001)), Some(6));
        assert_eq!(at(TimeDelta::zero()), None);
        assert_eq!(at(-TimeDelta::seconds(1)), None);
        assert_eq!(due(&message(), now), None);
        assert!(due(&message().with_deliver_at(DateTime::<Utc>::MAX_UTC), now).is_some());
    }

    #[test]
    fn what_was_delayed_is_delivered_as_it_was_published() {
        let message = message().with_header("a", "b").unwrap();
        let record = Record::of(&message);
        let mut shelf = Shelf::default();
        let place = place_of(0);
        shelf.assigned(place, None, -READING);
        let mut kept = as_delayed(record.clone(), &message.topic, 7);
        (kept.partition, kept.offset) = (0, 3);
        assert!(shelf.receive(place, kept, 0));
        assert_eq!((shelf.next_at(0), shelf.take(6).len()), (Some(7), 0));
        let taken = shelf.take(7);
        assert_eq!(taken[0].topic, message.topic);
        assert_eq!(taken[0].delivered().headers, record.headers);
        assert_eq!(destination(&taken[0].delayed_again()).unwrap().1, 7);
        let again = taken[0].delivered().decode(&message.topic).unwrap();
        assert_eq!(again, message);
        shelf.settle(&taken[0]);
        assert_eq!(shelf.positions(), [(place, 4)]);
    }

    #[test]
    fn one_due_time_keeps_the_order_of_arrival() {
        let mut shelf = Shelf::default();
        let place = place_of(0);
        shelf.assigned(place, None, -READING);
        for (offset, due) in [(0, 50), (1, 40), (2, 50), (3, 40)] {
            shelf.receive(place, delayed(offset, due, 0), 0);
        }
        let taken = shelf.take(100);
        let order: Vec<i64> = taken.iter().map(|waiting| waiting.record.offset).collect();
        assert_eq!(order, [1, 3, 0, 2]);
    }

    #[test]
    fn what_is_late_comes_in_the_order_of_its_due_times() {
        let mut shelf = Shelf::default();
        let (above, last) = (place_of(5_000), place_of(0));
        shelf.assigned(above, None, 100_000);
        shelf.assigned(last, None, 100_000);
        shelf.receive(above, delayed(0, 6_500, 0), 100_000);
        shelf.receive(above, delayed(1, 4_200, 50), 100_000);
        assert_eq!(shelf.next_at(100_000), Some(100_000 + READING));
        assert!(shelf.take(100_000).is_empty(), "others may still come");
        shelf.receive(last, delayed(0, 2_000, 70), 100_100);
        let taken = shelf.take(100_000 + READING);
        let order: Vec<i64> = taken.iter().map(|waiting| waiting.due).collect();
        assert_eq!(order, [2_000, 4_200, 6_500]);
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing_that_is_due() {
        let mut shelf = Shelf::default();
        let place = place_of(0);
        shelf.assigned(place, None, 100_000);
        shelf.receive(place, delayed(0, 2_000, 70), 100_000);
        assert_eq!(shelf.next_at(50_000), Some(50_000 + READING));
        assert_eq!(shelf.take(50_000 + READING).len(), 1);
    }

    #[test]
    fn what_is_held_is_bounded_and_what_is_foreign_is_passed_over() {
        let mut shelf = Shelf::default();
        let place = place_of(10_000);
        shelf.assigned(place, None, -READING);
        assert!(!shelf.receive(place, Record::of(&message()), 0));
        for offset in 0..100 {
            assert_eq!(shelf.take_changes(), (vec![], vec![]));
            shelf.receive(place, delayed(offset, 10_000, 0), 0);
        }
        assert_eq!(shelf.take_changes(), (vec![place], vec![]));
        let taken = shelf.take(10_000);
        assert_eq!(shelf.take_changes(), (vec![], vec![]), "still in hand");
        for waiting in &taken[..50] {
            shelf.settle(waiting);
        }
        assert_eq!(shelf.take_changes(), (vec![], vec![place]));
        // What was in hand when its partition went is not put back.
        shelf.revoked(&BTreeSet::from([place]));
        for waiting in taken.into_iter().skip(50) {
            shelf.settle(&waiting);
            shelf.put(waiting, 0);
        }
        assert_eq!(shelf.next_at(0), None);
    }

    proptest! {
        #[test]
        fn down_the_levels_in_few_steps_and_never_early(left in 0i64..400_000_000, start in 0i64..1_000_000) {
            let due = start + left;
            let (mut now, mut steps) = (start, 0);
            loop {
                let topic = level_for(due - now).topic;
                let at = acts_at(topic, due, now);
                prop_assert!(at <= due && at >= now);
                now = at;
                if now >= due {
                    break;
                }
                prop_assert!(topic != LEVELS[0].topic, "the last level waits for the due time");
                steps += 1;
            }
            prop_assert_eq!(now, due);
            // Seven at most per level, and one more at the top per five hours.
            prop_assert!(steps <= 7 * 5 + left / 16_384_000, "{steps}");
        }
    }
}
