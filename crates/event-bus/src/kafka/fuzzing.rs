//! What fuzzers feed of Kafka: records, as other programs write them, and what stands beside committed offsets.

#![expect(
    clippy::missing_panics_doc,
    reason = "a panic is what a fuzzer looks for"
)]

use chrono::{DateTime, Utc};

use super::completed::Completed;
use super::config::Config;
use super::dead_letter::{End, as_letter, as_redriven, letter};
use super::delayed::{LEVELS, Shelf};
use super::frontier::Frontier;
use super::record::Record;
use crate::dead_letter::REASONS;
use crate::error::Error;
use crate::fuzzing::{filters_agree, is_kept, is_same, lines_and_body, subscription, topic};

/// Headers, among which `:key`, `:offset` and `:timestamp` are the record's own, and its value.
fn record(input: &[u8]) -> Record {
    let (lines, payload) = lines_and_body(input);
    let mut record = Record {
        partition: 0,
        offset: 0,
        key: None,
        payload,
        headers: Vec::new(),
        timestamp: None,
    };
    for (name, value) in lines {
        match name.as_str() {
            ":key" => record.key = value,
            // The broker's own: never negative, and never the last one that there is.
            ":offset" => {
                let offset = value.as_deref().and_then(number).unwrap_or_default();
                record.offset = offset.clamp(0, i64::MAX - 1);
            }
            ":timestamp" => record.timestamp = value.as_deref().and_then(number),
            _ => record.headers.push((name, value)),
        }
    }
    record
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A record as an event, and the event as a record.
pub fn kafka_record(input: &[u8]) {
    let (record, topic) = (record(input), topic());
    let _ = (record.size(), record.written_at());
    match record.decode(&topic) {
        Ok(message) => {
            filters_agree(&message.event, |filter| record.is_wanted(filter));
            // What would come back as another event is refused.
            if message.ensure_comes_back().is_ok() {
                is_same(Record::of(&message).decode(&topic), &message);
            }
        }
        Err(undecodable) => is_kept(&undecodable, record.key.as_ref(), record.payload.as_ref()),
    }
}

/// A record in a topic of dead letters, and the same record as one that becomes a dead letter and is redriven.
pub fn kafka_letter(input: &[u8]) {
    let (record, topic, name) = (record(input), topic(), subscription());
    let body = record.original().decode(&topic);
    assert_eq!(letter(&topic, &name, &record).body, body);

    let end = End {
        attempts: 3,
        reason: "why".to_owned(),
        first_failed_at: None,
    };
    let kept = as_letter(
        &topic,
        &name,
        &record,
        end,
        DateTime::<Utc>::UNIX_EPOCH,
        usize::MAX,
    );
    let read = letter(&topic, &name, &kept);
    assert_eq!(read.body, body);
    assert_eq!(read.position, record.position());
    assert_eq!((read.attempts, read.reason()), (3, "why"));
    assert!(read.reasons.len() <= REASONS);
    assert_eq!(read.rejected_at, DateTime::UNIX_EPOCH);

    let again = as_redriven(&name, &kept, usize::MAX);
    assert!(!again.is_for_another(name.as_str()));
    assert!(again.is_for_another("shipping"));
    assert_eq!(again.original(), record.original());
}

/// A record in a topic of what is to be delivered later.
pub fn kafka_delayed(input: &[u8]) {
    let now = 1_800_000_000_000;
    let record = record(input);
    for level in &LEVELS {
        let place = (level.topic, record.partition);
        let mut shelf = Shelf::default();
        shelf.assigned(place, None, now);
        let is_ours = shelf.receive(place, record.clone(), now);
        let due = shelf.next_at(now);
        assert_eq!(due.is_some(), is_ours, "it waits, or is passed over");
        for waiting in due.map_or_else(Vec::new, |due| shelf.take(due)) {
            let delivered = waiting.delivered();
            assert_eq!(delivered, record.original());
            assert_eq!(waiting.delayed_again().original(), delivered);
            shelf.settle(&waiting);
        }
        let next = vec![(place, record.offset + 1)];
        assert_eq!(shelf.positions(), next, "it is done with");
    }
}

/// The committed offset, and after an end of line the text beside it.
pub fn kafka_completed(input: &[u8]) {
    let lines = String::from_utf8_lossy(input);
    let (committed, metadata) = lines.split_once('\n').unwrap_or(("0", &lines));
    // No broker has a last offset behind which there is none.
    let Some(committed) = number(committed.as_bytes()).filter(|offset| *offset < i64::MAX) else {
        return;
    };
    let Some(read) = Completed::decode(committed, metadata) else {
        return;
    };
    let mut last_end = committed;
    let mut runs = 0;
    for (first, end) in read.from(i64::MIN) {
        assert!(last_end < first && first < end, "beyond, with gaps between");
        assert!(read.contains(first) && read.contains(end - 1) && !read.contains(end));
        (last_end, runs) = (end, runs + 1);
    }
    assert!(runs <= metadata.len() / 2, "no more than was written");
    assert_eq!(read.next_open(committed), committed);
    let text = read.encode(committed, metadata.len().next_multiple_of(4) + 8);
    assert!(text.len() <= metadata.len(), "written as short as can be");
    let again = Completed::decode(committed, &text).unwrap_or_default();
    assert_eq!(again, read);

    let mut frontier = Frontier::after(read.clone());
    assert!(frontier.receive(committed), "it was not settled");
    assert_eq!(frontier.position(), Some(committed));
    let commit = frontier.take_commit(usize::MAX / 8).expect("a position");
    assert_eq!(
        Completed::decode(committed, &commit.metadata).unwrap_or_default(),
        read
    );
    assert!(frontier.settle(committed));
    assert_eq!(frontier.position(), Some(read.next_open(committed + 1)));
}

pub(crate) fn url(rest: &str) -> Result<(), Error> {
    for has_tokens in [true, false] {
        let config = Config::parse(rest, has_tokens)?;
        let _ = (config.producer(), config.reader());
    }
    Ok(())
}
