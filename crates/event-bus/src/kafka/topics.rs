//! Topics: their names, making them, listing them.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::config::Config;
use super::context::Context;
use super::offsets::{is_passing, patiently};
use super::{failed, unavailable};
use crate::derived::{DEAD, dead_letters_of, qualified};
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};

/// What Kafka takes as a topic's name.
const LONGEST: usize = 249;

/// What was just made or moved is not known everywhere at once.
pub(super) const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);

/// At least so many fit into the time that a request may take: the first may have gone to a node that died.
pub(super) const QUESTIONS: u32 = 4;

/// The most processes that work off one length of wait.
const DELAYED_PARTITIONS: i32 = 4;

/// The topic that keeps a subscription's dead letters.
pub(super) fn dead_letter_topic(
    topic: &TopicName,
    name: &SubscriptionName,
) -> Result<String, Error> {
    let dead = dead_letters_of(&qualified(topic, name));
    if dead.len() > LONGEST {
        let problem = format!(
            "the dead letter topic of {name} on {topic} would have {} bytes, Kafka takes {LONGEST}",
            dead.len()
        );
        return Err(Error::new(ErrorKind::Config, "subscribe", problem));
    }
    Ok(dead)
}

/// Makes topics and asks about them.
pub(super) struct Topics {
    pub(super) config: Config,
    admin: Arc<AdminClient<DefaultClientContext>>,
    /// Never a member of a group; blocks, so it is used on threads that may.
    pub(super) inspector: Arc<BaseConsumer<Context>>,
    known: Mutex<HashSet<String>>,
}

impl Topics {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let create = |error| failed("connect", "a Kafka client could not be made", error);
        Ok(Self {
            config: config.clone(),
            admin: Arc::new(config.admin().create().map_err(create)?),
            inspector: Arc::new(config.consumer(&config.inspector()).map_err(create)?),
            known: Mutex::default(),
        })
    }

    /// Makes a topic unless it exists, and waits until every partition has a leader.
    pub(super) async fn ensure(
        &self,
        operation: &'static str,
        topic: &str,
        keeps: Keeps,
    ) -> Result<(), Error> {
        // Without a place nothing can be rejected, and a person may have deleted it: worth a look each time.
        let looks = matches!(keeps, Keeps::DeadLetters);
        if !looks
            && self
                .known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(topic)
        {
            return Ok(());
        }
        let give_up = Instant::now() + self.config.request_timeout;
        if self.partitions(operation, topic).await?.is_none() {
            self.create(operation, topic, keeps).await?;
            while self.partitions(operation, topic).await?.is_none() {
                if Instant::now() >= give_up {
                    let problem = format!("topic {topic} was made, but has no leaders yet");
                    return Err(Error::new(ErrorKind::Timeout, operation, problem));
                }
                tokio::time::sleep(BETWEEN_QUESTIONS).await;
            }
        }
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(topic.to_owned());
        Ok(())
    }

    /// Looks again when a topic is asked for next: it may be gone.
    pub(super) fn forget(&self, topic: &str) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(topic);
    }

    /// The client's administrator cannot be given tokens.
    pub(super) fn can_administer(&self) -> bool {
        !self.config.link.has_tokens()
    }

    async fn create(
        &self,
        operation: &'static str,
        topic: &str,
        keeps: Keeps,
    ) -> Result<(), Error> {
        if !self.can_administer() {
            let problem = format!(
                "topic {topic} does not exist, and with sasl=oauthbearer this client cannot make topics: make it with Kafka's own tools ({keeps})"
            );
            return Err(Error::new(ErrorKind::Unsupported, operation, problem));
        }
        let replication = TopicReplication::Fixed(self.config.replication);
        let largest = self.config.largest_letter().to_string();
        let new = match keeps {
            Keeps::Events => NewTopic::new(topic, self.config.partitions, replication),
            // One partition keeps the order of rejection; a dead letter waits for a person, however long that takes.
            // A record as large as its topic takes has to fit in here with what is known of its end.
            Keeps::DeadLetters => NewTopic::new(topic, 1, replication)
                .set("retention.ms", "-1")
                .set("max.message.bytes", &largest),
            // Deleted when it was handed over, however long that takes.
            Keeps::Delayed => {
                NewTopic::new(topic, DELAYED_PARTITIONS, replication).set("retention.ms", "-1")
            }
        };
        let made = self.insist(|| async {
            let results = self.admin.create_topics([&new], &self.options()).await?;
            match results.into_iter().next() {
                Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
                // The answer of the topic, within an answer that came. It may pass as well as the whole one.
                Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
                None => Err(KafkaError::NoMessageReceived),
            }
        });
        made.await.map_err(|error| {
            if is_passing(&error) {
                return unavailable(operation, format!("topic {topic} could not be made"), error);
            }
            let problem = format!("the brokers do not make topic {topic}: {error}");
            Error::new(ErrorKind::Backend, operation, problem).with_source(error)
        })
    }

    /// Asks the administrator, and asks again while a controller or a leader is being found.
    async fn insist<T, F>(&self, ask: impl Fn() -> F + Send) -> Result<T, KafkaError>
    where
        F: Future<Output = Result<T, KafkaError>> + Send,
    {
        let give_up = Instant::now() + self.config.request_timeout;
        loop {
            match ask().await {
                Err(error) if is_passing(&error) && Instant::now() < give_up => {
                    tokio::time::sleep(BETWEEN_QUESTIONS).await;
                }
                answer => return answer,
            }
        }
    }

    fn options(&self) -> AdminOptions {
        // A broker that waits for a lost controller answers nothing; another one, asked in time, may.
        let timeout = Some(self.share());
        AdminOptions::new()
            .request_timeout(timeout)
            .operation_timeout(timeout)
    }

    /// How long one of several questions may take.
    fn share(&self) -> Duration {
        self.config.request_timeout / QUESTIONS
    }

    /// Lets the administrator hear who leads a topic. By itself it believes whom it heard last, however long that is ago, and
    /// would ask a node that died.
    async fn look_for_leaders(&self, topic: &str) -> Result<(), KafkaError> {
        let (admin, timeout) = (Arc::clone(&self.admin), self.share());
        let topic = topic.to_owned();
        let look = move || {
            admin
                .inner()
                .fetch_metadata(Some(&topic), timeout)
                .map(drop)
        };
        tokio::task::spawn_blocking(look)
            .await
            .unwrap_or(Err(KafkaError::Canceled))
    }

    /// How many partitions a topic has, once each has a leader; `None` when it does not exist, or not yet everywhere.
    pub(super) async fn partitions(
        &self,
        operation: &'static str,
        topic: &str,
    ) -> Result<Option<i32>, Error> {
        let (inspector, timeout) = (Arc::clone(&self.inspector), self.config.request_timeout);
        let topic = topic.to_owned();
        blocking(operation, move || {
            ask(operation, &inspector, timeout, |left| {
                let metadata = inspector.fetch_metadata(Some(&topic), left)?;
                let found = metadata.topics().iter().find(|found| found.name() == topic);
                found.map_or(Ok(None), partitions_of)
            })
        })
        .await
    }

    /// The topics that hold events: neither Kafka's own, nor dead letters, nor what this crate keeps.
    pub(super) async fn list(&self, operation: &'static str) -> Result<Vec<TopicName>, Error> {
        let (inspector, timeout) = (Arc::clone(&self.inspector), self.config.request_timeout);
        blocking(operation, move || {
            let metadata = ask(operation, &inspector, timeout, |left| {
                inspector.fetch_metadata(None, left)
            })?;
            let names = metadata.topics().iter().map(MetadataTopic::name);
            Ok(event_topics(names))
        })
        .await
    }

    /// Deletes the records of a partition before an offset; where that cannot be done they stay.
    pub(super) async fn delete_before(
        &self,
        operation: &'static str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), Error> {
        if !self.can_administer() {
            return Ok(());
        }
        let deleted = self.insist(|| self.try_delete_before(topic, partition, offset));
        deleted.await.map_err(|error| {
            let problem = format!("records of {topic} could not be deleted");
            unavailable(operation, problem, error)
        })
    }

    async fn try_delete_before(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), KafkaError> {
        self.look_for_leaders(topic).await?;
        let deletion = {
            let mut before = TopicPartitionList::new();
            before.add_partition_offset(topic, partition, Offset::Offset(offset))?;
            self.admin.delete_records(&before, &self.options())
        };
        for partition in deletion.await?.elements() {
            partition.error()?;
        }
        Ok(())
    }

    /// A round trip to a broker.
    pub(super) async fn check(&self, operation: &'static str) -> Result<(), Error> {
        let (inspector, timeout) = (Arc::clone(&self.inspector), self.config.request_timeout);
        blocking(operation, move || {
            // The topic need not exist: an answer is an answer.
            let topic = Some("commerce-event-bus.check");
            ask(operation, &inspector, timeout, |left| {
                inspector.fetch_metadata(topic, left).map(drop)
            })
        })
        .await
    }
}

/// What a topic is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keeps {
    Events,
    DeadLetters,
    /// What waits for its time.
    Delayed,
}

impl fmt::Display for Keeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events => f.write_str("with as many partitions as members shall share it"),
            Self::DeadLetters => f.write_str(
                "with 1 partition, retention.ms=-1, and a max.message.bytes of some 48,000 more than the largest record",
            ),
            Self::Delayed => write!(
                f,
                "with {DELAYED_PARTITIONS} partitions and retention.ms=-1"
            ),
        }
    }
}

/// Which of these names are topics of events. What ends like dead letters of a topic that is there is taken for them.
fn event_topics<'a>(names: impl Iterator<Item = &'a str>) -> Vec<TopicName> {
    let names: HashSet<&str> = names.collect();
    let is_dead_letters = |name: &str| {
        name.strip_suffix(DEAD)
            .and_then(|qualified| qualified.rsplit_once('.'))
            .is_some_and(|(topic, _)| names.contains(topic))
    };
    let mut topics: Vec<TopicName> = names
        .iter()
        .filter(|name| !is_dead_letters(name))
        .filter_map(|name| TopicName::new(name).ok())
        .collect();
    topics.sort_unstable();
    topics
}

/// How many partitions it has; `None` when there is no such topic. A partition that waits for its leader is an error that
/// passes.
fn partitions_of(topic: &MetadataTopic) -> Result<Option<i32>, KafkaError> {
    let failed = |code| Err(KafkaError::MetadataFetch(code));
    match topic.error().map(RDKafkaErrorCode::from) {
        None => {}
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => return Ok(None),
        Some(code) => return failed(code),
    }
    let partitions = topic.partitions();
    if partitions.iter().any(|partition| partition.leader() < 0) {
        return failed(RDKafkaErrorCode::LeaderNotAvailable);
    }
    let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
    Ok((count > 0).then_some(count))
}

/// Asks the brokers; an error that says so when they turn this client away.
fn ask<T>(
    operation: &'static str,
    inspector: &BaseConsumer<Context>,
    timeout: Duration,
    question: impl Fn(Duration) -> Result<T, KafkaError>,
) -> Result<T, Error> {
    serve(inspector);
    patiently(timeout, question).map_err(|error| {
        serve(inspector);
        match inspector.context().refused() {
            None => unavailable(operation, "the brokers do not answer as they should", error),
            Some(reason) => {
                let problem = format!(
                    "the brokers turn this client away; look at user, password, tls and tls_ca: {reason}"
                );
                Error::new(ErrorKind::Config, operation, problem).with_source(error)
            }
        }
    })
}

/// Lets a client that nobody polls call back: its errors, and its wish for another token.
fn serve(client: &BaseConsumer<Context>) {
    // A log line that was served looks like nothing to serve.
    const AT_MOST: usize = 32;
    for _ in 0..AT_MOST {
        // Without a subscription nothing but callbacks and errors come.
        drop(client.poll(Duration::ZERO));
    }
}

/// The client blocks where it asks; a runtime's own threads must not.
pub(super) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(
                Error::new(ErrorKind::Backend, operation, "a request ended early")
                    .with_source(error),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_whose_dead_letters_have_no_name_is_refused() {
        let long = TopicName::new(format!("t{}", "x".repeat(199))).unwrap();
        let short = SubscriptionName::new("s".repeat(40)).unwrap();
        assert!(dead_letter_topic(&long, &short).is_ok());
        let longer = SubscriptionName::new("s".repeat(60)).unwrap();
        assert_eq!(
            dead_letter_topic(&long, &longer).unwrap_err().kind(),
            ErrorKind::Config
        );
    }

    #[test]
    fn only_topics_of_events_are_listed() {
        let names = [
            "orders",
            "orders.billing.dead",
            "orders.br_billing.dead",
            "payments.dead",
            "walking.the.dead",
            "__consumer_offsets",
            "Legacy_Topic",
        ];
        let listed = event_topics(names.into_iter());
        let listed: Vec<&str> = listed.iter().map(TopicName::as_str).collect();
        assert_eq!(listed, ["orders", "payments.dead", "walking.the.dead"]);
    }
}
