//! Dead letters: a topic per subscription, with one partition, kept until purged.
//!
//! The record is the original one, byte for byte, with what is known about its end in headers of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::config::Config;
use super::publish::Publisher;
use super::record::{REDRIVEN_FOR, Record, position};
use super::topics::{Keeps, Topics, blocking, dead_letter_topic};
use super::unavailable;
use crate::dead_letter::DeadLetter;
use crate::error::Error;
use crate::name::{SubscriptionName, TopicName};

const PREFIX: &str = "dead-letter-";
const REASON: &str = "dead-letter-reason";
const ATTEMPTS: &str = "dead-letter-attempts";
const TOPIC: &str = "dead-letter-topic";
const SUBSCRIPTION: &str = "dead-letter-subscription";
const PARTITION: &str = "dead-letter-partition";
const OFFSET: &str = "dead-letter-offset";
const TIME: &str = "dead-letter-time";

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
        attempts: u32,
        reason: &str,
    ) -> Result<(), Error> {
        let dead = dead_letter_topic(topic, name)?;
        self.topics
            .ensure("settle", &dead, Keeps::DeadLetters)
            .await?;
        let mut letter = Record {
            headers: original_headers(record),
            ..record.clone()
        };
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        for (header, value) in [
            (REASON, reason.to_owned()),
            (ATTEMPTS, attempts.to_string()),
            (TOPIC, topic.to_string()),
            (SUBSCRIPTION, name.to_string()),
            (PARTITION, record.partition.to_string()),
            (OFFSET, record.offset.to_string()),
            (TIME, now),
        ] {
            letter
                .headers
                .push((header.to_owned(), Some(Bytes::from(value))));
        }
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
        let dead = dead_letter_topic(topic, name)?;
        let records = self.oldest("dead_letters", &dead, limit).await?;
        Ok(records
            .iter()
            .map(|record| letter(topic, name, record))
            .collect())
    }

    /// Publishes the oldest dead letters again, for their subscription only, and then deletes them. Ended in between,
    /// they are there twice.
    pub(super) async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "redrive";
        let dead = dead_letter_topic(topic, name)?;
        let records = self.oldest(OPERATION, &dead, limit).await?;
        let Some(last) = records.last() else {
            return Ok(0);
        };
        let redriven: Vec<Record> = records
            .iter()
            .map(|record| {
                let mut headers = original_headers(record);
                headers.push((
                    REDRIVEN_FOR.to_owned(),
                    Some(Bytes::copy_from_slice(name.as_str().as_bytes())),
                ));
                Record {
                    headers,
                    ..record.clone()
                }
            })
            .collect();
        self.publisher
            .publish_records(OPERATION, topic.as_str(), &redriven)
            .await?;
        self.topics
            .delete_before(OPERATION, &dead, last.offset + 1)
            .await?;
        Ok(records.len() as u64)
    }

    /// Deletes all dead letters.
    pub(super) async fn purge(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "purge_dead_letters";
        let dead = dead_letter_topic(topic, name)?;
        let count = self.count(OPERATION, topic, name).await?;
        if count > 0 {
            let next = self.watermarks(OPERATION, &dead).await?.1;
            self.topics.delete_before(OPERATION, &dead, next).await?;
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
        let (oldest, next) = self
            .watermarks(operation, &dead_letter_topic(topic, name)?)
            .await?;
        Ok(u64::try_from(next - oldest).unwrap_or(0))
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
        limit: usize,
    ) -> Result<Vec<Record>, Error> {
        let (oldest, next) = self.watermarks(operation, dead).await?;
        if oldest >= next || limit == 0 {
            return Ok(Vec::new());
        }
        let (config, within) = (self.config.clone(), self.config.request_timeout);
        let dead = dead.to_owned();
        blocking(operation, move || {
            read(&config, &dead, oldest, next, limit, within)
                .map_err(|error| unavailable(operation, format!("{dead} could not be read"), error))
        })
        .await
    }
}

/// Reads a partition from one offset up to another. Silence for the given time is an error: what is there must come.
fn read(
    config: &Config,
    topic: &str,
    oldest: i64,
    next: i64,
    limit: usize,
    within: Duration,
) -> Result<Vec<Record>, KafkaError> {
    let reader: BaseConsumer = config.reader().create()?;
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
                records.push(record);
                give_up = std::time::Instant::now() + within;
                if last {
                    break;
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            Some(Err(error)) => return Err(error),
            None if std::time::Instant::now() >= give_up => {
                return Err(KafkaError::NoMessageReceived);
            }
            None => {}
        }
    }
    Ok(records)
}

fn original_headers(record: &Record) -> Vec<(String, Option<Bytes>)> {
    let ours = |name: &str| name.starts_with(PREFIX) || name == REDRIVEN_FOR;
    record
        .headers
        .iter()
        .filter(|(name, _)| !ours(name))
        .cloned()
        .collect()
}

fn letter(topic: &TopicName, name: &SubscriptionName, record: &Record) -> DeadLetter {
    let number = |header| {
        record
            .header(header)
            .and_then(|text| text.parse::<i64>().ok())
    };
    let where_it_was = match (number(PARTITION), number(OFFSET)) {
        (Some(partition), Some(offset)) => position(i32::try_from(partition).unwrap_or(-1), offset),
        _ => record.position(),
    };
    let rejected_at = record
        .header(TIME)
        .and_then(|time| DateTime::parse_from_rfc3339(time).ok())
        .map_or(DateTime::UNIX_EPOCH, |time| time.with_timezone(&Utc));
    let original = Record {
        headers: original_headers(record),
        ..record.clone()
    };
    DeadLetter::new(
        topic.clone(),
        name.clone(),
        original.decode(topic),
        where_it_was,
    )
    .with_attempts(
        number(ATTEMPTS)
            .and_then(|attempts| u32::try_from(attempts).ok())
            .unwrap_or_default(),
    )
    .with_reasons(vec![record.header(REASON).unwrap_or_default().to_owned()])
    .with_times(rejected_at, rejected_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_tells_its_end_and_keeps_its_bytes() {
        let (topic, name) = (
            TopicName::new("orders").unwrap(),
            SubscriptionName::new("billing").unwrap(),
        );
        let header = |name: &str, value: &'static str| {
            (name.to_owned(), Some(Bytes::from_static(value.as_bytes())))
        };
        let record = Record {
            partition: 0,
            offset: 3,
            key: Some(Bytes::from_static(b"k")),
            payload: Some(Bytes::from_static(&[0xff, 0x00])),
            headers: vec![
                header("foreign", "kept"),
                header(REDRIVEN_FOR, "billing"),
                header(REASON, "no"),
                header(ATTEMPTS, "4"),
                header(PARTITION, "2"),
                header(OFFSET, "17"),
                header(TIME, "2026-11-21T10:00:00.000Z"),
            ],
        };
        let letter = letter(&topic, &name, &record);
        assert_eq!(
            (letter.reason(), letter.attempts, letter.position.as_str()),
            ("no", 4, "2@17")
        );
        let undecodable = letter.body.unwrap_err();
        assert_eq!(undecodable.payload.as_deref(), Some(&[0xff, 0x00][..]));
        assert_eq!(
            undecodable.headers,
            [("foreign".to_owned(), Bytes::from_static(b"kept"))]
        );
    }
}
