//! One idempotent producer for the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::{DeliveryFuture, OwnedDeliveryResult};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::time::{Instant, timeout_at};

use super::config::Config;
use super::context::Context;
use super::delayed::{self, as_delayed, level_for};
use super::offsets::code_of;
use super::record::{Record, position};
use super::topics::{Keeps, Topics, blocking};
use super::{closed, failed};
use crate::error::{Error, ErrorKind, PublishError, PublishErrorKind};
use crate::message::{Accepted, Message};

type Producer = FutureProducer<Context>;

/// Publishes records and waits for the brokers' word.
pub(super) struct Publisher {
    config: Config,
    topics: Arc<Topics>,
    /// `None` once closed. Replaced when the client calls its state beyond repair.
    producer: Mutex<Option<Producer>>,
}

/// Why a record was not accepted.
struct Refusal {
    kind: PublishErrorKind,
    error: Error,
    /// The topic is not there any more.
    is_gone: bool,
}

/// What became of making sure of each topic of a batch: who waited in vain for one does not wait again.
type Places<'a> = HashMap<&'a str, Result<(), (ErrorKind, String)>>;

/// The keys of a batch, each on its topic, of which a record was not handed to the client: what comes after it would
/// overtake it.
#[derive(Default)]
struct Broken(HashMap<(String, Bytes), ErrorKind>);

impl Broken {
    /// Refuses what would come before another of its key.
    fn ensure_in_order(
        &self,
        operation: &'static str,
        topic: &str,
        record: &Record,
    ) -> Result<(), Error> {
        let Some(key) = record.key.clone().filter(|_| !self.0.is_empty()) else {
            return Ok(());
        };
        match self.0.get(&(topic.to_owned(), key)) {
            None => Ok(()),
            Some(kind) => {
                let problem = "a message before it in the batch, of the same key, was not accepted";
                Err(Error::new(*kind, operation, problem))
            }
        }
    }

    /// Remembers what was not handed to the client. What would never be accepted holds nothing up.
    fn note(&mut self, topic: &str, record: &Record, error: &Error) {
        if let Some(key) = &record.key
            && error.kind() != ErrorKind::Message
        {
            let place = (topic.to_owned(), key.clone());
            self.0.entry(place).or_insert(error.kind());
        }
    }
}

impl Publisher {
    pub(super) fn new(config: &Config, topics: Arc<Topics>) -> Result<Self, Error> {
        let producer = Mutex::new(Some(producer(config)?));
        Ok(Self {
            config: config.clone(),
            topics,
            producer,
        })
    }

    /// Publishes messages, pipelined; one result per message.
    pub(super) async fn publish(
        &self,
        messages: Vec<Message>,
    ) -> Vec<Result<Accepted, PublishError>> {
        let give_up = Instant::now() + self.config.publish_timeout;
        let mut on_their_way = Vec::with_capacity(messages.len());
        let mut places = Places::default();
        let mut broken = Broken::default();
        for message in &messages {
            let record = Record::of(message);
            let topic = message.topic.as_str();
            let mut ready = self.can_be_carried(message);
            if ready.is_ok() {
                let place = (topic, Keeps::Events);
                ready = self.ensure(&mut places, place, give_up).await;
            }
            let now = self.config.clock.now();
            let mut waits_in = None;
            let sent = match delayed::due(message, now) {
                None => (topic, record),
                Some(due) => {
                    let level = level_for(due.saturating_sub(now.timestamp_millis())).topic;
                    if ready.is_ok() {
                        let place = (level, Keeps::Delayed);
                        ready = self.ensure(&mut places, place, give_up).await;
                    }
                    waits_in = Some(level);
                    (level, as_delayed(record, &message.topic, due))
                }
            };
            let (destination, record) = sent;
            let sent = match ready {
                Ok(()) => {
                    self.send_in_order("publish", destination, &record, give_up, &mut broken)
                        .await
                }
                Err(error) => {
                    broken.note(destination, &record, &error);
                    Err(error)
                }
            };
            on_their_way.push((sent, waits_in));
        }
        let mut results = Vec::with_capacity(messages.len());
        for (message, (sent, waits_in)) in messages.into_iter().zip(on_their_way) {
            let result = match sent {
                // The place where it waits is not the one that it will have.
                Ok(delivery) if waits_in.is_some() => {
                    outcome(delivery.await.ok()).map(|_| Accepted::new(None))
                }
                Ok(delivery) => outcome(delivery.await.ok()),
                Err(error) => Err(Refusal {
                    kind: PublishErrorKind::Failed,
                    error,
                    is_gone: false,
                }),
            };
            if matches!(&result, Err(refusal) if refusal.is_gone) {
                self.topics
                    .forget(waits_in.unwrap_or(message.topic.as_str()));
            }
            results.push(result.map_err(|Refusal { kind, error, .. }| match kind {
                PublishErrorKind::Failed => PublishError::failed(message, error),
                PublishErrorKind::Unknown => PublishError::unknown(message, error),
            }));
        }
        results
    }

    /// Makes sure of a topic, once for a batch and within its time.
    async fn ensure<'a>(
        &self,
        places: &mut Places<'a>,
        (topic, keeps): (&'a str, Keeps),
        give_up: Instant,
    ) -> Result<(), Error> {
        const OPERATION: &str = "publish";
        if let Some(known) = places.get(topic) {
            return known
                .clone()
                .map_err(|(kind, problem)| Error::new(kind, OPERATION, problem));
        }
        let ensured = timeout_at(give_up, self.topics.ensure(OPERATION, topic, keeps)).await;
        let ensured = ensured.unwrap_or_else(|_| {
            let problem = format!("the brokers did not tell about topic {topic} in time");
            Err(Error::new(ErrorKind::Timeout, OPERATION, problem))
        });
        let known = ensured
            .as_ref()
            .map_err(|error| (error.kind(), error.to_string()));
        places.insert(topic, known.copied());
        ensured
    }

    fn can_be_carried(&self, message: &Message) -> Result<(), Error> {
        message.ensure_comes_back()?;
        let (size, most) = (message.size(), self.config.max_message);
        if size <= most {
            return Ok(());
        }
        let problem = format!(
            "the message has {size} bytes, and max_message is {most}; raise it together with the topic's max.message.bytes"
        );
        Err(Error::new(ErrorKind::Message, "publish", problem))
    }

    /// Publishes records to one topic and succeeds when every one is confirmed.
    pub(super) async fn publish_records(
        &self,
        operation: &'static str,
        topic: &str,
        records: &[Record],
    ) -> Result<(), Error> {
        let give_up = Instant::now() + self.config.publish_timeout;
        let mut on_their_way = Vec::with_capacity(records.len());
        for record in records {
            on_their_way.push(self.send(topic, record, give_up).await?);
        }
        for delivery in on_their_way {
            if let Err(Refusal { error, .. }) = outcome(delivery.await.ok()) {
                let problem = match error.kind() {
                    ErrorKind::Message => format!(
                        "topic {topic} does not take a record that others wrote, with what this bus adds to it: raise the \
                         topic's max.message.bytes if it is too small"
                    ),
                    _ => format!("a record for {topic} was not confirmed"),
                };
                return Err(Error::new(error.kind(), operation, problem).with_source(error));
            }
        }
        Ok(())
    }

    /// Publishes records, each to its topic, in order; one result for each.
    pub(super) async fn publish_each(
        &self,
        operation: &'static str,
        records: Vec<(String, Record)>,
    ) -> Vec<Result<(), Error>> {
        let give_up = Instant::now() + self.config.publish_timeout;
        let mut on_their_way = Vec::with_capacity(records.len());
        let mut broken = Broken::default();
        for (topic, record) in &records {
            let sent = self.send_in_order(operation, topic, record, give_up, &mut broken);
            on_their_way.push(sent.await);
        }
        let mut results = Vec::with_capacity(records.len());
        for ((topic, _), sent) in records.iter().zip(on_their_way) {
            let confirmed = match sent {
                Ok(delivery) => outcome(delivery.await.ok())
                    .map(drop)
                    .map_err(|refusal| refusal.error),
                Err(error) => Err(error),
            };
            results.push(confirmed.map_err(|error| {
                let problem = format!("a record for {topic} was not confirmed: {error}");
                Error::new(error.kind(), operation, problem).with_source(error)
            }));
        }
        results
    }

    /// Hands a record to the client, unless one of its key before it was not.
    async fn send_in_order(
        &self,
        operation: &'static str,
        topic: &str,
        record: &Record,
        give_up: Instant,
        broken: &mut Broken,
    ) -> Result<DeliveryFuture, Error> {
        broken.ensure_in_order(operation, topic, record)?;
        let sent = self.send(topic, record, give_up).await;
        sent.inspect_err(|error| broken.note(topic, record, error))
    }

    /// Hands a record to the client; waits while its queue is full.
    async fn send(
        &self,
        topic: &str,
        record: &Record,
        give_up: Instant,
    ) -> Result<DeliveryFuture, Error> {
        loop {
            let full = match self.producer()?.send_result(future_record(topic, record)) {
                Ok(delivery) => return Ok(delivery),
                Err((error, _)) => error,
            };
            if code_of(&full).is_some_and(is_gone) {
                self.topics.forget(topic);
            }
            if code_of(&full) != Some(RDKafkaErrorCode::QueueFull) {
                return Err(send_error(full));
            }
            if Instant::now() >= give_up {
                let problem =
                    "the producer's queue stayed full: the brokers do not keep up, or are away";
                return Err(Error::new(ErrorKind::Timeout, "publish", problem).with_source(full));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn producer(&self) -> Result<Producer, Error> {
        let mut current = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(alive) = current.as_ref() else {
            return Err(closed("publish"));
        };
        // An idempotent producer stops for good when it cannot promise order and uniqueness any more. Its records were
        // reported one by one; a new one starts clean.
        if let Some((code, reason)) = alive.client().fatal_error() {
            tracing::error!(%code, reason, "the Kafka producer gave up and is replaced");
            let replaced = current.replace(producer(&self.config)?);
            std::thread::spawn(move || drop(replaced));
        }
        current.clone().ok_or_else(|| closed("publish"))
    }

    /// Waits until everything handed to the client is confirmed or refused; then nothing is accepted any more.
    pub(super) async fn close(&self, within: Duration) -> Result<(), Error> {
        let producer = self
            .producer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(producer) = producer else {
            return Ok(());
        };
        blocking("close", move || {
            let flushed = producer.flush(within);
            flushed.map_err(|error| {
                Error::new(
                    ErrorKind::Timeout,
                    "close",
                    "some publishes were not confirmed in time",
                )
                .with_source(error)
            })
        })
        .await
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // The client joins its threads when dropped, which a runtime's thread must not wait for.
        if let Some(producer) = self
            .producer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            std::thread::spawn(move || drop(producer));
        }
    }
}

fn producer(config: &Config) -> Result<Producer, Error> {
    config
        .producer()
        .create_with_context(Context::new(&config.link))
        .map_err(|error| failed("connect", "the Kafka producer could not be made", error))
}

fn future_record<'a>(topic: &'a str, record: &'a Record) -> FutureRecord<'a, [u8], [u8]> {
    FutureRecord {
        topic,
        // The partitioner decides, by the key.
        partition: None,
        payload: record.payload.as_deref(),
        key: record.key.as_deref(),
        timestamp: None,
        headers: Some(record.owned_headers()),
    }
}

/// Refused before it left the process.
fn send_error(error: KafkaError) -> Error {
    let kind = match code_of(&error) {
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidArgument) => {
            ErrorKind::Message
        }
        Some(code) if is_gone(code) => ErrorKind::Unavailable,
        _ => ErrorKind::Backend,
    };
    Error::new(
        kind,
        "publish",
        format!("not accepted by the Kafka client: {error}"),
    )
    .with_source(error)
}

/// What the broker's word, or its silence, means. `None`: the client was dropped before it knew.
fn outcome(delivered: Option<OwnedDeliveryResult>) -> Result<Accepted, Refusal> {
    let unknown = |error| Refusal {
        kind: PublishErrorKind::Unknown,
        error,
        is_gone: false,
    };
    match delivered {
        Some(Ok(delivery)) => Ok(Accepted::new(Some(position(
            delivery.partition,
            delivery.offset,
        )))),
        None => Err(unknown(Error::new(
            ErrorKind::Closed,
            "publish",
            "the bus was closed before the broker answered",
        ))),
        Some(Err((error, _))) => {
            let code = code_of(&error);
            let (kind, error_kind) = verdict(code);
            let error = Error::new(error_kind, "publish", format!("not confirmed: {error}"))
                .with_source(error);
            Err(Refusal {
                kind,
                error,
                is_gone: code.is_some_and(is_gone),
            })
        }
    }
}

fn is_gone(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicId
    )
}

/// Only what says that the broker does not have the record is a failure. A time-out is not: the client does not tell
/// whether the record was on its way.
fn verdict(code: Option<RDKafkaErrorCode>) -> (PublishErrorKind, ErrorKind) {
    use PublishErrorKind::{Failed, Unknown};
    match code {
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidMessageSize,
        ) => (Failed, ErrorKind::Message),
        Some(
            RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::InvalidRequiredAcks,
        ) => (Failed, ErrorKind::Backend),
        Some(RDKafkaErrorCode::NotEnoughReplicas | RDKafkaErrorCode::PurgeQueue) => {
            (Failed, ErrorKind::Unavailable)
        }
        // Somebody deleted it; it is made again by the next try.
        Some(code) if is_gone(code) => (Failed, ErrorKind::Unavailable),
        Some(RDKafkaErrorCode::MessageTimedOut) => (Unknown, ErrorKind::Timeout),
        _ => (Unknown, ErrorKind::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use commerce_contracts::CloudEvent;

    use super::*;
    use crate::name::TopicName;

    fn record(key: Option<&str>) -> Record {
        let event = CloudEvent::new("/test", "test.publish.run.v1").unwrap();
        let event = match key {
            Some(key) => event.with_key(key).unwrap(),
            None => event,
        };
        Record::of(&Message::new(TopicName::new("orders").unwrap(), event))
    }

    /// A publisher without brokers whose queue one record fills.
    fn full(timeout: &str) -> Publisher {
        let url = format!("//127.0.0.1:1?publish_timeout={timeout}");
        let config = Config::parse(&url, false).unwrap();
        let topics = Arc::new(Topics::new(&config).unwrap());
        let publisher = Publisher::new(&config, topics).unwrap();
        let small: Producer = config
            .producer()
            .set("queue.buffering.max.messages", "1")
            .create_with_context(Context::new(&config.link))
            .unwrap();
        small
            .send_result(future_record("orders", &record(None)))
            .map_err(|(error, _)| error)
            .unwrap();
        *publisher.producer.lock().unwrap() = Some(small);
        publisher
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_not_sent_is_not_overtaken_by_its_key() {
        let publisher = full("300ms");
        let of = |topic: &str, key| (topic.to_owned(), record(key));
        let batch = vec![
            of("orders", Some("a")),
            of("orders", Some("a")),
            of("orders", Some("b")),
            of("orders", None),
            of("returns", Some("a")),
        ];
        let results = publisher.publish_each("publish", batch).await;
        let overtakes = |result: &Result<(), Error>| {
            let error = result.as_ref().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            error.to_string().contains("before it in the batch")
        };
        let overtakes: Vec<bool> = results.iter().map(overtakes).collect();
        assert_eq!(overtakes, [false, true, false, false, false]);
    }

    #[test]
    fn what_is_refused_for_good_holds_nothing_up() {
        let mut broken = Broken::default();
        let a = record(Some("a"));
        let too_large = Error::new(ErrorKind::Message, "publish", "it is too large");
        broken.note("orders", &a, &too_large);
        broken.ensure_in_order("publish", "orders", &a).unwrap();
        let full = Error::new(ErrorKind::Timeout, "publish", "the queue is full");
        broken.note("orders", &a, &full);
        let error = broken.ensure_in_order("publish", "orders", &a).unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }

    #[test]
    fn only_a_certain_refusal_is_a_failure() {
        let kind = |code| verdict(Some(code)).0;
        assert_eq!(
            kind(RDKafkaErrorCode::MessageSizeTooLarge),
            PublishErrorKind::Failed
        );
        assert_eq!(
            kind(RDKafkaErrorCode::TopicAuthorizationFailed),
            PublishErrorKind::Failed
        );
        assert_eq!(
            kind(RDKafkaErrorCode::MessageTimedOut),
            PublishErrorKind::Unknown
        );
        assert_eq!(
            kind(RDKafkaErrorCode::PurgeInflight),
            PublishErrorKind::Unknown
        );
        assert_eq!(
            kind(RDKafkaErrorCode::NotEnoughReplicasAfterAppend),
            PublishErrorKind::Unknown
        );
        assert_eq!(verdict(None).0, PublishErrorKind::Unknown);
    }
}
