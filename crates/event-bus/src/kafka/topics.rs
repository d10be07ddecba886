//! Topics: their names, making them, and what a topic's and a group's offsets say.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::config::Config;
use super::{failed, unavailable};
use crate::derived::{dead_letters_of, qualified};
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Start;

/// What Kafka takes as a topic's name.
const LONGEST: usize = 249;

/// What was just made or moved is not known everywhere at once.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);

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

/// Oldest and next offset per partition.
pub(super) type Watermarks = BTreeMap<i32, (i64, i64)>;

/// Makes topics and asks about them.
pub(super) struct Topics {
    config: Config,
    admin: AdminClient<DefaultClientContext>,
    /// Never a member of a group; blocks, so it is used on threads that may.
    inspector: Arc<BaseConsumer>,
    known: Mutex<HashSet<String>>,
}

impl Topics {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let create = |error| failed("connect", "a Kafka client could not be made", error);
        Ok(Self {
            config: config.clone(),
            admin: config.admin().create().map_err(create)?,
            inspector: Arc::new(config.inspector().create().map_err(create)?),
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
        if self
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

    async fn create(
        &self,
        operation: &'static str,
        topic: &str,
        keeps: Keeps,
    ) -> Result<(), Error> {
        let replication = TopicReplication::Fixed(self.config.replication);
        let new = match keeps {
            Keeps::Events => NewTopic::new(topic, self.config.partitions, replication),
            // One partition keeps the order of rejection; a dead letter waits for a person, however long that takes.
            Keeps::DeadLetters => NewTopic::new(topic, 1, replication).set("retention.ms", "-1"),
        };
        let timeout = Some(self.config.request_timeout);
        let options = AdminOptions::new()
            .request_timeout(timeout)
            .operation_timeout(timeout);
        let results = self
            .admin
            .create_topics([&new], &options)
            .await
            .map_err(|error| {
                unavailable(operation, format!("topic {topic} could not be made"), error)
            })?;
        match results.into_iter().next() {
            Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => {
                let problem = format!("the broker does not make topic {topic}: {code}");
                Err(Error::new(ErrorKind::Backend, operation, problem))
            }
            None => Err(Error::new(
                ErrorKind::Backend,
                operation,
                "the broker said nothing about the new topic",
            )),
        }
    }

    /// How many partitions a topic has; `None` when it does not exist, or not yet everywhere.
    pub(super) async fn partitions(
        &self,
        operation: &'static str,
        topic: &str,
    ) -> Result<Option<i32>, Error> {
        let (inspector, timeout) = (Arc::clone(&self.inspector), self.config.request_timeout);
        let topic = topic.to_owned();
        blocking(operation, move || {
            let metadata = inspector
                .fetch_metadata(Some(&topic), timeout)
                .map_err(|error| unavailable(operation, "the brokers do not answer", error))?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            Ok(found.and_then(|found| {
                let led = found
                    .partitions()
                    .iter()
                    .all(|partition| partition.error().is_none() && partition.leader() >= 0);
                let count = i32::try_from(found.partitions().len()).ok()?;
                (found.error().is_none() && led && count > 0).then_some(count)
            }))
        })
        .await
    }

    /// Oldest and next offset of each partition; empty when there is no such topic.
    pub(super) async fn watermarks(
        &self,
        operation: &'static str,
        topic: &str,
    ) -> Result<Watermarks, Error> {
        let Some(partitions) = self.partitions(operation, topic).await? else {
            return Ok(Watermarks::new());
        };
        let (inspector, timeout) = (Arc::clone(&self.inspector), self.config.request_timeout);
        let topic = topic.to_owned();
        blocking(operation, move || {
            let give_up = std::time::Instant::now() + timeout;
            (0..partitions)
                .map(|partition| {
                    loop {
                        match inspector.fetch_watermarks(&topic, partition, timeout) {
                            Ok(watermarks) => return Ok((partition, watermarks)),
                            // A leader that was just elected does not know it everywhere yet.
                            Err(error)
                                if is_passing(&error) && std::time::Instant::now() < give_up =>
                            {
                                std::thread::sleep(BETWEEN_QUESTIONS);
                            }
                            Err(error) => {
                                return Err(unavailable(
                                    operation,
                                    format!("no offsets of topic {topic}"),
                                    error,
                                ));
                            }
                        }
                    }
                })
                .collect()
        })
        .await
    }

    /// Where a group is, per partition that it has committed.
    pub(super) async fn committed(
        &self,
        operation: &'static str,
        group: &str,
        topic: &str,
        partitions: i32,
    ) -> Result<BTreeMap<i32, i64>, Error> {
        let (config, timeout) = (self.config.group(group), self.config.request_timeout);
        let topic = topic.to_owned();
        blocking(operation, move || {
            let failed =
                |error| unavailable(operation, "the group's offsets could not be read", error);
            let asking: BaseConsumer = config.create().map_err(failed)?;
            committed_by(&asking, &topic, partitions, timeout).map_err(failed)
        })
        .await
    }

    /// Makes a subscription: gives a new group its first position in every partition, before anybody joins it. A group
    /// that has positions, or members, is left alone.
    pub(super) async fn pin(&self, group: &str, topic: &str, start: Start) -> Result<(), Error> {
        const OPERATION: &str = "subscribe";
        let watermarks = self.watermarks(OPERATION, topic).await?;
        let (config, timeout) = (self.config.group(group), self.config.request_timeout);
        let (topic, group) = (topic.to_owned(), group.to_owned());
        blocking(OPERATION, move || {
            let failed = |error| {
                unavailable(
                    OPERATION,
                    "the group's first position could not be set",
                    error,
                )
            };
            let asking: BaseConsumer = config.create().map_err(failed)?;
            let partitions = i32::try_from(watermarks.len()).unwrap_or(i32::MAX);
            let committed = committed_by(&asking, &topic, partitions, timeout).map_err(failed)?;
            if !committed.is_empty() {
                return Ok(());
            }
            let mut first = TopicPartitionList::new();
            for (partition, (oldest, next)) in watermarks {
                let offset = match start {
                    Start::Latest => next,
                    // The last two were refused before: they are not claimed.
                    Start::Earliest | Start::Time(_) | Start::Position(_) => oldest,
                };
                first
                    .add_partition_offset(&topic, partition, Offset::Offset(offset))
                    .map_err(failed)?;
            }
            match asking.commit(&first, CommitMode::Sync) {
                // Another member was first, and is in the group already: its positions count.
                Err(error) if is_group_in_use(&error) => {
                    tracing::debug!(group, "the group has members; its positions are theirs");
                    Ok(())
                }
                other => other.map_err(failed),
            }
        })
        .await
    }

    /// Deletes the records of a one-partition topic before an offset.
    pub(super) async fn delete_before(
        &self,
        operation: &'static str,
        topic: &str,
        offset: i64,
    ) -> Result<(), Error> {
        let failed = |error| {
            unavailable(
                operation,
                format!("records of {topic} could not be deleted"),
                error,
            )
        };
        let timeout = Some(self.config.request_timeout);
        let options = AdminOptions::new()
            .request_timeout(timeout)
            .operation_timeout(timeout);
        let deletion = {
            let mut before = TopicPartitionList::new();
            before
                .add_partition_offset(topic, 0, Offset::Offset(offset))
                .map_err(failed)?;
            self.admin.delete_records(&before, &options)
        };
        let deleted = deletion.await.map_err(failed)?;
        for partition in deleted.elements() {
            partition.error().map_err(failed)?;
        }
        Ok(())
    }

    /// A round trip to a broker.
    pub(super) async fn check(&self, operation: &'static str) -> Result<(), Error> {
        // The topic need not exist: an answer is an answer.
        self.partitions(operation, "commerce-event-bus.check")
            .await
            .map(drop)
    }
}

/// What a topic is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keeps {
    Events,
    DeadLetters,
}

fn committed_by(
    asking: &BaseConsumer,
    topic: &str,
    partitions: i32,
    timeout: Duration,
) -> Result<BTreeMap<i32, i64>, rdkafka::error::KafkaError> {
    let mut wanted = TopicPartitionList::new();
    for partition in 0..partitions {
        wanted.add_partition(topic, partition);
    }
    // Numbers at once: the client hangs when it is dropped before a list that it gave out.
    Ok(asking
        .committed_offsets(wanted, timeout)?
        .elements()
        .iter()
        .filter_map(|found| match found.offset() {
            Offset::Offset(offset) => Some((found.partition(), offset)),
            _ => None,
        })
        .collect())
}

/// What asking again a moment later mends.
fn is_passing(error: &rdkafka::error::KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::BrokerTransportFailure
        )
    )
}

fn is_group_in_use(error: &rdkafka::error::KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::StaleMemberEpoch
        )
    )
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
}
