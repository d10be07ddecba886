//! Dead letters: a topic per subscription, with one partition, kept until purged.
//!
//! The record is the original one, byte for byte, with what is known about its end in headers of its own.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::completed::Completed;
use super::config::Config;
use super::frontier::Commit;
use super::offsets::is_passing;
use super::publish::Publisher;
use super::record::{REDRIVEN_FOR, Record, position};
use super::topics::{Keeps, Topics, blocking, dead_letter_topic};
use super::unavailable;
use crate::dead_letter::{DeadLetter, add_reason};
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::name::{SubscriptionName, TopicName};

/// Why, once per rejection, the newest last.
const REASON: &str = "commerce-dead-letter-reason";
const ATTEMPTS: &str = "commerce-dead-letter-attempts";
const TOPIC: &str = "commerce-dead-letter-topic";
const SUBSCRIPTION: &str = "commerce-dead-letter-subscription";
const PARTITION: &str = "commerce-dead-letter-partition";
const OFFSET: &str = "commerce-dead-letter-offset";
const FIRST_FAILED: &str = "commerce-dead-letter-first-failed";
const TIME: &str = "commerce-dead-letter-time";

/// Bytes of a reason that are kept: with all of them a letter must not be larger than the brokers take.
const LONGEST_REASON: usize = 2048;

/// Bytes of the newest reason that are kept where there is no room at all: topics of dead letters take more than those that
/// the records are from.
const SHORTEST_REASON: usize = 200;

/// Letters redriven in one go.
const AT_ONCE: usize = 500;

/// How a delivery ended.
pub(super) struct End {
    pub(super) attempts: u32,
    pub(super) reason: String,
    /// `None`: now.
    pub(super) first_failed_at: Option<DateTime<Utc>>,
}

/// Keeps, reads and gives back dead letters.
pub(super) struct DeadLetters {
    pub(super) config: Config,
    pub(super) topics: Arc<Topics>,
    pub(super) publisher: Arc<Publisher>,
}

impl DeadLetters {
    /// Keeps a rejected record; returns when the brokers have it.
    pub(super) async fn bury(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        record: &Record,
        end: End,
    ) -> Result<(), Error> {
        let dead = dead_letter_topic(topic, name)?;
        self.topics
            .ensure("settle", &dead, Keeps::DeadLetters)
            .await?;
        let letter = as_letter(topic, name, record, end, Utc::now(), self.config.room());
        self.publisher
            .publish_records("settle", &dead, &[letter])
            .await
    }

    /// The oldest dead letters.
    pub(super) async fn list(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        const OPERATION: &str = "dead_letters";
        let dead = dead_letter_topic(topic, name)?;
        let ledger = self.ledger(OPERATION, &dead).await?;
        let everything = Filter::new();
        let records = self
            .oldest(OPERATION, &dead, &ledger, limit, &everything)
            .await?;
        Ok(records
            .iter()
            .map(|record| letter(topic, name, record))
            .collect())
    }

    /// Publishes the oldest dead letters that the filter wants again, for their subscription only, and then deletes
    /// them. Ended in between, they are there twice.
    pub(super) async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "redrive";
        let dead = dead_letter_topic(topic, name)?;
        let mut redriven = 0;
        let mut ledger = self.ledger(OPERATION, &dead).await?;
        while redriven < limit {
            let at_once = AT_ONCE.min(limit - redriven);
            let records = self
                .oldest(OPERATION, &dead, &ledger, at_once, filter)
                .await?;
            if records.is_empty() {
                break;
            }
            let next = ledger.without(records.iter().map(|record| record.offset));
            let commit = self.commit_of(&next)?;
            let again: Vec<Record> = records
                .iter()
                .map(|record| as_redriven(name, record, self.config.room()))
                .collect();
            self.publisher
                .publish_records(OPERATION, topic.as_str(), &again)
                .await?;
            self.keep(OPERATION, &dead, &ledger, commit).await?;
            redriven += records.len();
            ledger = next;
        }
        Ok(redriven as u64)
    }

    /// Deletes all dead letters.
    pub(super) async fn purge(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "purge_dead_letters";
        let dead = dead_letter_topic(topic, name)?;
        let ledger = self.ledger(OPERATION, &dead).await?;
        let count = ledger.count();
        if ledger.oldest < ledger.next {
            let commit = Commit {
                offset: ledger.next,
                metadata: String::new(),
            };
            self.keep(OPERATION, &dead, &ledger, commit).await?;
        }
        Ok(count)
    }

    /// How many there are.
    pub(super) async fn count(
        &self,
        operation: &'static str,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        let dead = dead_letter_topic(topic, name)?;
        Ok(self.ledger(operation, &dead).await?.count())
    }

    /// What the topic of dead letters holds. Which letters were redriven out of the middle is committed by a group of
    /// the topic's own name, as settled records of a subscription are.
    async fn ledger(&self, operation: &'static str, dead: &str) -> Result<Ledger, Error> {
        let (oldest, next) = self.watermarks(operation, dead).await?;
        if oldest >= next {
            return Ok(Ledger::default());
        }
        let committed = self.topics.committed(operation, dead, dead, 1).await?;
        let known = committed.get(&0);
        let redriven = known.map_or_else(Completed::default, |known| known.completed.clone());
        Ok(Ledger {
            // Where nothing can be deleted, the position alone tells what is gone.
            oldest: known
                .map_or(oldest, |known| oldest.max(known.offset))
                .min(next),
            next,
            redriven,
        })
    }

    /// What to commit when letters are gone; an error when they are too scattered to tell.
    fn commit_of(&self, ledger: &Ledger) -> Result<Commit, Error> {
        let offset = ledger.redriven.next_open(ledger.oldest);
        let metadata = ledger.redriven.encode(offset, self.config.commit_metadata);
        let told = Completed::decode(offset, &metadata).unwrap_or_default();
        if told.from(offset).eq(ledger.redriven.from(offset)) {
            return Ok(Commit { offset, metadata });
        }
        let problem =
            "too many dead letters in between would stay: redrive or purge the older ones first";
        Err(Error::new(ErrorKind::Unsupported, "redrive", problem))
    }

    async fn keep(
        &self,
        operation: &'static str,
        dead: &str,
        before: &Ledger,
        commit: Commit,
    ) -> Result<(), Error> {
        let offset = commit.offset;
        let told = !before.redriven.is_empty() || !commit.metadata.is_empty();
        if told || !self.topics.can_administer() {
            self.topics.commit(operation, dead, dead, 0, commit).await?;
        }
        if offset > before.oldest {
            self.topics
                .delete_before(operation, dead, 0, offset)
                .await?;
        }
        Ok(())
    }

    async fn watermarks(&self, operation: &'static str, dead: &str) -> Result<(i64, i64), Error> {
        // No topic, no dead letters.
        Ok(self
            .topics
            .watermarks(operation, dead)
            .await?
            .get(&0)
            .copied()
            .unwrap_or_default())
    }

    async fn oldest(
        &self,
        operation: &'static str,
        dead: &str,
        ledger: &Ledger,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<Record>, Error> {
        let from = ledger.redriven.next_open(ledger.oldest);
        if from >= ledger.next || limit == 0 {
            return Ok(Vec::new());
        }
        let (config, within) = (self.config.clone(), self.config.request_timeout);
        let (dead, filter, ledger) = (dead.to_owned(), filter.clone(), ledger.clone());
        blocking(operation, move || {
            let wanted = |record: &Record| {
                !ledger.redriven.contains(record.offset) && record.original().is_wanted(&filter)
            };
            read(&config, &dead, from, ledger.next, limit, within, wanted)
                .map_err(|error| unavailable(operation, format!("{dead} could not be read"), error))
        })
        .await
    }
}

/// The letters that are there: from the oldest to the next, but for those that were redriven.
#[derive(Clone, Debug, Default)]
struct Ledger {
    oldest: i64,
    next: i64,
    redriven: Completed,
}

impl Ledger {
    fn count(&self) -> u64 {
        let all = u64::try_from(self.next - self.oldest).unwrap_or(0);
        all - self.redriven.count(self.oldest, self.next)
    }

    fn without(&self, letters: impl Iterator<Item = i64>) -> Self {
        let mut left = self.clone();
        for offset in letters {
            left.redriven.insert(offset);
        }
        left
    }
}

/// Reads what is wanted of a partition from one offset up to another. Silence for the given time is an error: what is
/// there must come.
fn read(
    config: &Config,
    topic: &str,
    oldest: i64,
    next: i64,
    limit: usize,
    within: Duration,
    wanted: impl Fn(&Record) -> bool,
) -> Result<Vec<Record>, KafkaError> {
    let reader = config.consumer(&config.reader())?;
    {
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Offset(oldest))?;
        reader.assign(&from)?;
    }
    let mut records = Vec::new();
    let mut give_up = std::time::Instant::now() + within;
    while records.len() < limit {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let record = Record::copy(&message);
                let last = record.offset + 1 >= next;
                if wanted(&record) {
                    records.push(record);
                }
                give_up = std::time::Instant::now() + within;
                if last {
                    break;
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            // The next leader is being found; what is there comes then.
            Some(Err(error)) if !is_passing(&error) || std::time::Instant::now() >= give_up => {
                return Err(error);
            }
            None if std::time::Instant::now() >= give_up => {
                return Err(KafkaError::NoMessageReceived);
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(records)
}

/// The record as it is kept: the original one, and what is known about its end. Of the reasons, as many as there is room
/// for, the newest.
pub(super) fn as_letter(
    topic: &TopicName,
    name: &SubscriptionName,
    record: &Record,
    end: End,
    now: DateTime<Utc>,
    room: usize,
) -> Record {
    let mut reasons: Vec<String> = record.headers_of(REASON).map(Cow::into_owned).collect();
    let mut reason = end.reason;
    reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
    add_reason(&mut reasons, reason);
    // Of an earlier life, where there was one.
    let first_failed_at = time(record, FIRST_FAILED).or(end.first_failed_at);
    let mut letter = record
        .original()
        .with(ATTEMPTS, end.attempts.to_string())
        .with(TOPIC, topic.to_string())
        .with(SUBSCRIPTION, name.to_string())
        .with(PARTITION, record.partition.to_string())
        .with(OFFSET, record.offset.to_string())
        .with(FIRST_FAILED, time_text(first_failed_at.unwrap_or(now)))
        .with(TIME, time_text(now));
    let left = room.saturating_sub(weight(&letter));
    for reason in fitting(reasons, left) {
        letter = letter.with(REASON, reason);
    }
    letter
}

/// Bytes that a header takes beside its name and its value.
const AROUND_A_HEADER: usize = 8;

/// What a record weighs with what is around its headers.
fn weight(record: &Record) -> usize {
    record.size() + record.headers.len() * AROUND_A_HEADER
}

/// The newest of the reasons that fit into so many bytes. The newest of all stays, cut where there is no room for the whole.
fn fitting(mut reasons: Vec<String>, room: usize) -> Vec<String> {
    const AROUND: usize = REASON.len() + AROUND_A_HEADER;
    let Some(mut newest) = reasons.pop() else {
        return reasons;
    };
    let room = room.saturating_sub(AROUND).max(SHORTEST_REASON);
    newest.truncate(newest.floor_char_boundary(room));
    let mut left = room - newest.len();
    let mut kept = vec![newest];
    while let Some(reason) = reasons.pop()
        && let Some(rest) = left.checked_sub(reason.len() + AROUND)
    {
        left = rest;
        kept.push(reason);
    }
    kept.reverse();
    kept
}

/// The record as its subscription gets it again: what it failed of before comes with it, as far as there is room.
pub(super) fn as_redriven(name: &SubscriptionName, letter: &Record, room: usize) -> Record {
    let mut again = letter
        .original()
        .with(REDRIVEN_FOR, name.as_str().to_owned());
    let first_failed = letter
        .headers
        .iter()
        .filter(|(header, _)| header == FIRST_FAILED);
    again.headers.extend(first_failed.cloned());
    let reasons: Vec<String> = letter.headers_of(REASON).map(Cow::into_owned).collect();
    let left = room.saturating_sub(weight(&again));
    if left > SHORTEST_REASON {
        for reason in fitting(reasons, left) {
            again = again.with(REASON, reason);
        }
    }
    again
}

fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn time(record: &Record, header: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(record.header(header)?).ok()?;
    Some(time.with_timezone(&Utc))
}

pub(super) fn letter(topic: &TopicName, name: &SubscriptionName, record: &Record) -> DeadLetter {
    let number = |header| {
        record
            .header(header)
            .and_then(|text| text.parse::<i64>().ok())
    };
    let where_it_was = match (number(PARTITION), number(OFFSET)) {
        (Some(partition), Some(offset)) => position(i32::try_from(partition).unwrap_or(-1), offset),
        _ => record.position(),
    };
    let rejected_at = time(record, TIME).unwrap_or(DateTime::UNIX_EPOCH);
    DeadLetter::new(
        topic.clone(),
        name.clone(),
        record.original().decode(topic),
        where_it_was,
    )
    .with_attempts(
        number(ATTEMPTS)
            .and_then(|attempts| u32::try_from(attempts).ok())
            .unwrap_or_default(),
    )
    .with_reasons(record.headers_of(REASON).map(Cow::into_owned).collect())
    .with_times(
        time(record, FIRST_FAILED).unwrap_or(rejected_at),
        rejected_at,
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const ROOM: usize = 1_048_000;

    fn names() -> (TopicName, SubscriptionName) {
        (
            TopicName::new("orders").unwrap(),
            SubscriptionName::new("billing").unwrap(),
        )
    }

    fn strange_record() -> Record {
        Record {
            partition: 2,
            offset: 17,
            key: Some(Bytes::from_static(b"k")),
            payload: Some(Bytes::from_static(&[0xff, 0x00])),
            headers: vec![
                ("foreign".to_owned(), Some(Bytes::from_static(b"kept"))),
                ("null".to_owned(), None),
            ],
            timestamp: None,
        }
    }

    fn end(reason: &str, first_failed_at: Option<DateTime<Utc>>) -> End {
        End {
            attempts: 4,
            reason: reason.to_owned(),
            first_failed_at,
        }
    }

    #[test]
    fn a_letter_tells_its_end_and_keeps_its_bytes() {
        let (topic, name) = names();
        let record = strange_record();
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let kept = as_letter(&topic, &name, &record, end("no", None), now, ROOM);
        assert_eq!(kept.original().headers, record.headers);
        let letter = letter(&topic, &name, &kept);
        assert_eq!(
            (letter.reason(), letter.attempts, letter.position.as_str()),
            ("no", 4, "2@17")
        );
        assert_eq!((letter.first_failed_at, letter.rejected_at), (now, now));
        let undecodable = letter.body.unwrap_err();
        assert_eq!(undecodable.payload.as_deref(), Some(&[0xff, 0x00][..]));
        assert_eq!(undecodable.key, record.key);
        assert_eq!(
            undecodable.headers,
            [
                ("foreign".to_owned(), Bytes::from_static(b"kept")),
                ("null".to_owned(), Bytes::new())
            ]
        );
    }

    #[test]
    fn a_long_reason_is_cut() {
        let (topic, name) = names();
        let end = end(&"é".repeat(5_000), None);
        let kept = as_letter(&topic, &name, &strange_record(), end, Utc::now(), ROOM);
        assert_eq!(letter(&topic, &name, &kept).reason(), "é".repeat(1024));
    }

    #[test]
    fn what_is_as_large_as_can_be_loses_its_oldest_reasons_and_nothing_else() {
        let (topic, name) = names();
        let first: DateTime<Utc> = "2026-11-21T09:00:00Z".parse().unwrap();
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        for (payload, reasons, longest) in [
            // All of them fit; some of them; the last one, cut.
            (ROOM - 40_000, 16, 2000),
            (ROOM - 10_000, 4, 2000),
            (ROOM - 1_000, 1, 500),
            (ROOM + 500, 1, SHORTEST_REASON),
        ] {
            let mut record = Record {
                payload: Some(Bytes::from(vec![7; payload])),
                ..strange_record()
            };
            for reason in 0..20 {
                let reason = char::from(b'a' + reason).to_string().repeat(2000);
                record = record.with(REASON, reason);
            }
            let kept = as_letter(
                &topic,
                &name,
                &record,
                end(&"z".repeat(2000), Some(first)),
                now,
                ROOM,
            );
            let told = letter(&topic, &name, &kept);
            assert_eq!((told.attempts, told.first_failed_at), (4, first));
            assert_eq!(told.position, "2@17");
            assert_eq!(told.reasons.len(), reasons, "{payload}");
            let shown = told.reason();
            assert!(
                shown.starts_with('z') && shown.len() >= longest.min(200),
                "{shown}"
            );
            assert!(
                told.reasons[..reasons - 1]
                    .iter()
                    .all(|reason| reason.len() == 2000)
            );
            assert_eq!(kept.original().payload, record.payload);
            assert!(payload > ROOM || weight(&kept) <= ROOM, "{}", weight(&kept));
            let again = as_redriven(&name, &kept, ROOM);
            assert!(
                payload > ROOM || weight(&again) <= ROOM,
                "{}",
                weight(&again)
            );
            assert_eq!(time(&again, FIRST_FAILED), Some(first));
        }
    }

    #[test]
    fn reasons_and_the_first_failure_outlive_a_redrive() {
        let (topic, name) = names();
        let first: DateTime<Utc> = "2026-11-21T09:00:00Z".parse().unwrap();
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let mut record = strange_record();
        for round in 0..20 {
            let end = end(&format!("reason {round}"), Some(first));
            let kept = as_letter(&topic, &name, &record, end, now, ROOM);
            record = as_redriven(&name, &kept, ROOM);
            assert!(record.is_for_another("shipping") && !record.is_for_another("billing"));
            assert_eq!(record.original().headers, strange_record().headers);
            let letter = letter(&topic, &name, &kept);
            assert_eq!(letter.reason(), format!("reason {round}"));
            assert_eq!(letter.reasons.len(), 16.min(round + 1));
            assert_eq!(letter.first_failed_at, first);
        }
    }
}
