//! Kafka past the bus: records of any kind, as they are.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const WITHIN: Duration = Duration::from_secs(30);

/// A record of any kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawRecord {
    pub(crate) key: Option<Bytes>,
    pub(crate) payload: Option<Bytes>,
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
}

fn config(url: &str) -> ClientConfig {
    let servers = url
        .strip_prefix("kafka://")
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        // What is written past the bus may be larger than what the client takes by itself.
        .set("message.max.bytes", "2000000");
    config
}

fn headers(record: &RawRecord) -> OwnedHeaders {
    let insert = |headers: OwnedHeaders, (key, value): &(String, Option<Bytes>)| {
        headers.insert(Header {
            key,
            value: value.as_deref(),
        })
    };
    record.headers.iter().fold(OwnedHeaders::new(), insert)
}

/// Produces a record and waits for its confirmation.
pub(crate) async fn produce(url: &str, topic: &str, record: &RawRecord) {
    let producer: FutureProducer = config(url).create().unwrap();
    let headers = headers(record);
    let record: FutureRecord<'_, [u8], [u8]> = FutureRecord {
        topic,
        partition: None,
        payload: record.payload.as_deref(),
        key: record.key.as_deref(),
        timestamp: None,
        headers: Some(headers),
    };
    producer.send(record, WITHIN).await.unwrap();
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Committed,
    Aborted,
}

/// Writes a record to partition 0 in a transaction. Its end leaves an offset that no reader is given, and so does the
/// record when it is aborted.
pub(crate) async fn transaction(url: &str, topic: &str, record: RawRecord, ends: Ends) {
    let mut config = config(url);
    config.set("transactional.id", format!("test-{}", uuid::Uuid::new_v4()));
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(WITHIN).unwrap();
        producer.begin_transaction().unwrap();
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord {
            topic: &topic,
            partition: Some(0),
            payload: record.payload.as_deref(),
            key: record.key.as_deref(),
            timestamp: None,
            headers: Some(headers(&record)),
            delivery_opaque: (),
        };
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(WITHIN).unwrap();
        match ends {
            Ends::Committed => producer.commit_transaction(WITHIN).unwrap(),
            Ends::Aborted => producer.abort_transaction(WITHIN).unwrap(),
        }
    })
    .await
    .unwrap();
}

/// Makes a topic of one partition.
pub(crate) async fn create_topic(url: &str, topic: &str, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = config(url).create().unwrap();
    let mut new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let created = admin.create_topics(&[new], &AdminOptions::new()).await;
    for result in created.unwrap() {
        result.unwrap_or_else(|(topic, code)| panic!("{topic} is not made: {code}"));
    }
}

/// The offset that partition 0 gives to the next record that is written, whatever it is.
pub(crate) async fn next_offset(url: &str, topic: &str) -> i64 {
    let config = config(url);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        let (_, next) = consumer.fetch_watermarks(&topic, 0, WITHIN).unwrap();
        next
    })
    .await
    .unwrap()
}

/// The offsets of partition 0 that a reader is given.
pub(crate) async fn offsets(url: &str, topic: &str) -> Vec<i64> {
    let mut config = config(url);
    config
        .set("group.id", "test-raw-reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true");
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        assign_from_the_beginning(&consumer, &topic);
        let deadline = Instant::now() + WITHIN;
        let mut offsets = Vec::new();
        loop {
            assert!(Instant::now() < deadline, "{topic} has no end");
            match consumer.poll(Duration::from_millis(200)) {
                None => {}
                Some(Ok(message)) => offsets.push(message.offset()),
                Some(Err(KafkaError::PartitionEOF(_))) => return offsets,
                Some(Err(error)) => panic!("{topic} cannot be read: {error}"),
            }
        }
    })
    .await
    .unwrap()
}

fn assign_from_the_beginning(consumer: &BaseConsumer, topic: &str) {
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&from).unwrap();
}

/// Reads so many records of a topic with one partition.
pub(crate) async fn read(url: &str, topic: &str, count: usize) -> Vec<RawRecord> {
    let mut config = config(url);
    config
        .set("group.id", "test-raw-reader")
        .set("enable.auto.commit", "false");
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        assign_from_the_beginning(&consumer, &topic);
        let deadline = Instant::now() + WITHIN;
        let mut records = Vec::new();
        while records.len() < count {
            assert!(
                Instant::now() < deadline,
                "only {} of {count} records in {topic}",
                records.len()
            );
            let Some(message) = consumer.poll(Duration::from_millis(200)) else {
                continue;
            };
            let message = message.unwrap();
            let headers = message
                .headers()
                .into_iter()
                .flat_map(|headers| headers.iter());
            records.push(RawRecord {
                key: message.key().map(Bytes::copy_from_slice),
                payload: message.payload().map(Bytes::copy_from_slice),
                headers: headers
                    .map(|header| {
                        (
                            header.key.to_owned(),
                            header.value.map(Bytes::copy_from_slice),
                        )
                    })
                    .collect(),
            });
        }
        records
    })
    .await
    .unwrap()
}

/// Commits an offset of partition 0 with metadata.
pub(crate) async fn commit(url: &str, group: &str, topic: &str, offset: i64, metadata: &str) {
    let mut config = config(url);
    config.set("group.id", group);
    let (topic, metadata) = (topic.to_owned(), metadata.to_owned());
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        let mut offsets = TopicPartitionList::new();
        {
            let mut entry = offsets.add_partition(&topic, 0);
            entry.set_offset(Offset::Offset(offset)).unwrap();
            entry.set_metadata(&metadata);
        }
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
    })
    .await
    .unwrap();
}

/// What a group has committed of partition 0.
pub(crate) async fn committed(url: &str, group: &str, topic: &str) -> (i64, String) {
    let mut config = config(url);
    config.set("group.id", group);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&topic, 0);
        let found = consumer.committed_offsets(wanted, WITHIN).unwrap();
        let elements = found.elements();
        let Offset::Offset(offset) = elements[0].offset() else {
            panic!("nothing committed");
        };
        (offset, elements[0].metadata().to_owned())
    })
    .await
    .unwrap()
}

/// Deletes a topic and waits until the broker has forgotten it.
pub(crate) async fn delete_topic(url: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = config(url).create().unwrap();
    let deleted = admin.delete_topics(&[topic], &AdminOptions::new()).await;
    for result in deleted.unwrap() {
        result.unwrap_or_else(|(topic, code)| panic!("{topic} is not deleted: {code}"));
    }
    let give_up = Instant::now() + WITHIN;
    loop {
        let asking: BaseConsumer = config(url).create().unwrap();
        let topic = topic.to_owned();
        let metadata =
            tokio::task::spawn_blocking(move || asking.fetch_metadata(Some(&topic), WITHIN));
        let metadata = metadata.await.unwrap().unwrap();
        if metadata
            .topics()
            .iter()
            .all(|topic| topic.error().is_some())
        {
            return;
        }
        assert!(Instant::now() < give_up, "the topic is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
