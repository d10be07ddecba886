//! Topics: their names, making them, and what a topic's and a group's offsets say.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::completed::Completed;
use super::config::Config;
use super::context::Context;
use super::frontier::Commit;
use super::record::Record;
use super::{failed, unavailable};
use crate::derived::{DEAD, dead_letters_of, qualified};
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Start;

/// What Kafka takes as a topic's name.
const LONGEST: usize = 249;

/// What was just made or moved is not known everywhere at once.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);

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

/// Oldest and next offset per partition.
pub(super) type Watermarks = BTreeMap<i32, (i64, i64)>;

/// What a group has committed of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) offset: i64,
    /// Settled beyond it.
    pub(super) completed: Completed,
}

/// What a group has committed, per partition that it has committed.
pub(super) type Committed = BTreeMap<i32, Known>;

/// Makes topics and asks about them.
pub(super) struct Topics {
    config: Config,
    admin: AdminClient<DefaultClientContext>,
    /// Never a member of a group; blocks, so it is used on threads that may.
    inspector: Arc<BaseConsumer<Context>>,
    known: Mutex<HashSet<String>>,
}

impl Topics {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let create = |error| failed("connect", "a Kafka client could not be made", error);
        Ok(Self {
            config: config.clone(),
            admin: config.admin().create().map_err(create)?,
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
        let new = match keeps {
            Keeps::Events => NewTopic::new(topic, self.config.partitions, replication),
            // One partition keeps the order of rejection; a dead letter waits for a person, however long that takes.
            Keeps::DeadLetters => NewTopic::new(topic, 1, replication).set("retention.ms", "-1"),
            // Deleted when it was handed over, however long that takes.
            Keeps::Delayed => {
                NewTopic::new(topic, DELAYED_PARTITIONS, replication).set("retention.ms", "-1")
            }
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
            let metadata = metadata_of(operation, &inspector, Some(&topic), timeout)?;
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
    ) -> Result<Committed, Error> {
        let (config, timeout) = (self.config.clone(), self.config.request_timeout);
        let (group, topic) = (group.to_owned(), topic.to_owned());
        blocking(operation, move || {
            let failed =
                |error| unavailable(operation, "the group's offsets could not be read", error);
            let asking = config.consumer(&config.group(&group)).map_err(failed)?;
            committed_by(&asking, &topic, 0..partitions, timeout).map_err(failed)
        })
        .await
    }

    /// Makes a subscription: gives a new group its first position in every partition, before anybody joins it. A group
    /// that has positions, or members, is left alone.
    pub(super) async fn pin(&self, group: &str, topic: &str, start: &Start) -> Result<(), Error> {
        const OPERATION: &str = "subscribe";
        let watermarks = self.watermarks(OPERATION, topic).await?;
        let partitions = i32::try_from(watermarks.len()).unwrap_or(i32::MAX);
        let start = First::of(start, partitions)?;
        let (config, timeout) = (self.config.clone(), self.config.request_timeout);
        let (topic, group) = (topic.to_owned(), group.to_owned());
        blocking(OPERATION, move || {
            let failed = |error| {
                unavailable(
                    OPERATION,
                    "the group's first position could not be set",
                    error,
                )
            };
            let asking = config.consumer(&config.group(&group)).map_err(failed)?;
            let committed =
                committed_by(&asking, &topic, 0..partitions, timeout).map_err(failed)?;
            if !committed.is_empty() {
                return Ok(());
            }
            let wanted = match &start {
                First::Oldest => BTreeMap::new(),
                First::Next => watermarks
                    .iter()
                    .map(|(partition, (_, next))| (*partition, *next))
                    .collect(),
                First::Since(time) => {
                    offsets_since(&asking, &topic, *time, &watermarks, timeout).map_err(failed)?
                }
                First::At(positions) => positions.clone(),
            };
            let mut first = TopicPartitionList::new();
            for (partition, (oldest, next)) in watermarks {
                // What is not there any more, or not yet, would make the client start where it likes.
                let offset = wanted
                    .get(&partition)
                    .map_or(oldest, |wanted| (*wanted).clamp(oldest, next));
                first
                    .add_partition_offset(&topic, partition, Offset::Offset(offset))
                    .map_err(failed)?;
            }
            match patiently(timeout, || asking.commit(&first, CommitMode::Sync)) {
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

    /// Commits for a group that nobody joins.
    pub(super) async fn commit(
        &self,
        operation: &'static str,
        group: &str,
        topic: &str,
        partition: i32,
        commit: Commit,
    ) -> Result<(), Error> {
        let (config, timeout) = (self.config.clone(), self.config.request_timeout);
        let (group, topic) = (group.to_owned(), topic.to_owned());
        blocking(operation, move || {
            let failed = |error| unavailable(operation, format!("nothing kept of {topic}"), error);
            let committing = config.consumer(&config.group(&group)).map_err(failed)?;
            let offsets = offsets_of([(topic.as_str(), partition, &commit)]).map_err(failed)?;
            patiently(timeout, || committing.commit(&offsets, CommitMode::Sync)).map_err(failed)
        })
        .await
    }

    /// When the first record at or after each of these positions was written: the oldest of them. What does not come in
    /// time does not count.
    pub(super) async fn first_written(
        &self,
        operation: &'static str,
        topic: &str,
        positions: Vec<(i32, i64)>,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        if positions.is_empty() {
            return Ok(None);
        }
        let (config, within) = (self.config.clone(), self.config.request_timeout);
        let topic = topic.to_owned();
        blocking(operation, move || {
            first_written(&config, &topic, &positions, within).map_err(|error| {
                unavailable(operation, format!("{topic} could not be read"), error)
            })
        })
        .await
    }

    /// The topics that hold events: neither Kafka's own, nor dead letters, nor what this crate keeps.
    pub(super) async fn list(&self, operation: &'static str) -> Result<Vec<TopicName>, Error> {
        let (inspector, timeout) = (Arc::clone(&self.inspector), self.config.request_timeout);
        blocking(operation, move || {
            let metadata = metadata_of(operation, &inspector, None, timeout)?;
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
                .add_partition_offset(topic, partition, Offset::Offset(offset))
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
    /// What waits for its time.
    Delayed,
}

impl fmt::Display for Keeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events => f.write_str("with as many partitions as members shall share it"),
            Self::DeadLetters => f.write_str("with 1 partition and retention.ms=-1"),
            Self::Delayed => write!(
                f,
                "with {DELAYED_PARTITIONS} partitions and retention.ms=-1"
            ),
        }
    }
}

/// Where a new subscription begins, understood.
#[derive(Debug, PartialEq, Eq)]
enum First {
    Oldest,
    Next,
    /// Milliseconds of the epoch, which is how finely Kafka counts.
    Since(i64),
    /// Partitions that are not named begin with the oldest record.
    At(BTreeMap<i32, i64>),
}

impl First {
    fn of(start: &Start, partitions: i32) -> Result<Self, Error> {
        match start {
            Start::Earliest => Ok(Self::Oldest),
            Start::Latest => Ok(Self::Next),
            Start::Time(time) => Ok(Self::Since(time.timestamp_millis())),
            Start::Position(position) => positions(position, partitions).ok_or_else(|| {
                let problem = format!(
                    "{position:?} is no position here: write PARTITION@OFFSET, several with commas between; there are {partitions} partitions"
                );
                Error::new(ErrorKind::Config, "subscribe", problem)
            }).map(Self::At),
        }
    }
}

/// `0@12,1@5`: each partition once.
fn positions(text: &str, partitions: i32) -> Option<BTreeMap<i32, i64>> {
    let mut positions = BTreeMap::new();
    for position in text.split(',') {
        let (partition, offset) = position.trim().split_once('@')?;
        let (partition, offset): (i32, i64) = (partition.parse().ok()?, offset.parse().ok()?);
        let known = (0..partitions).contains(&partition) && offset >= 0;
        if !known || positions.insert(partition, offset).is_some() {
            return None;
        }
    }
    Some(positions)
}

/// The first offset of each partition that was written at this time or later; the next one where there is none.
fn offsets_since(
    asking: &BaseConsumer<Context>,
    topic: &str,
    time: i64,
    watermarks: &Watermarks,
    timeout: Duration,
) -> Result<BTreeMap<i32, i64>, KafkaError> {
    let mut times = TopicPartitionList::new();
    for partition in watermarks.keys() {
        // A negative number would be one of Kafka's special ones.
        times.add_partition_offset(topic, *partition, Offset::Offset(time.max(0)))?;
    }
    let found = asking.offsets_for_times(times, timeout)?;
    let mut offsets = BTreeMap::new();
    for partition in found.elements() {
        partition.error()?;
        let offset = match partition.offset() {
            Offset::Offset(offset) => offset,
            _ => i64::MAX,
        };
        offsets.insert(partition.partition(), offset);
    }
    Ok(offsets)
}

fn first_written(
    config: &Config,
    topic: &str,
    positions: &[(i32, i64)],
    within: Duration,
) -> Result<Option<DateTime<Utc>>, KafkaError> {
    let mut looking = config.reader();
    // One record of each is enough.
    looking.set("fetch.message.max.bytes", "1024");
    let reader = config.consumer(&looking)?;
    {
        let mut from = TopicPartitionList::new();
        for (partition, offset) in positions {
            from.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        reader.assign(&from)?;
    }
    let mut open: HashSet<i32> = positions.iter().map(|(partition, _)| *partition).collect();
    let mut oldest = None;
    let give_up = std::time::Instant::now() + within;
    while !open.is_empty() && std::time::Instant::now() < give_up {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let record = Record::copy(&message);
                if open.remove(&record.partition) {
                    oldest = oldest.into_iter().chain(record.written_at()).min();
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) if !is_passing(&error) => return Err(error),
            Some(Err(_)) | None => {}
        }
    }
    Ok(oldest)
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

/// What a group has committed of these partitions.
pub(super) fn committed_by<C: ConsumerContext>(
    asking: &BaseConsumer<C>,
    topic: &str,
    partitions: impl IntoIterator<Item = i32>,
    timeout: Duration,
) -> Result<Committed, KafkaError> {
    let mut wanted = TopicPartitionList::new();
    for partition in partitions {
        wanted.add_partition(topic, partition);
    }
    let committed = patiently(timeout, || {
        asking.committed_offsets(wanted.clone(), timeout)
    })?;
    // Values at once: the client hangs when it is dropped before a list that it gave out.
    Ok(committed
        .elements()
        .iter()
        .filter_map(|found| match found.offset() {
            Offset::Offset(offset) => {
                let completed = Completed::decode(offset, &metadata(found));
                let completed = completed.unwrap_or_default();
                Some((found.partition(), Known { offset, completed }))
            }
            _ => None,
        })
        .collect())
}

/// Asks the brokers; an error that says so when they turn this client away.
fn metadata_of(
    operation: &'static str,
    inspector: &BaseConsumer<Context>,
    topic: Option<&str>,
    timeout: Duration,
) -> Result<Metadata, Error> {
    serve(inspector);
    inspector.fetch_metadata(topic, timeout).map_err(|error| {
        serve(inspector);
        match inspector.context().refused() {
            None => unavailable(operation, "the brokers do not answer", error),
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

fn metadata(found: &TopicPartitionListElem<'_>) -> String {
    // The client panics at a text that is not UTF-8. Somebody else's metadata must not end the subscription.
    catch_unwind(AssertUnwindSafe(|| found.metadata().to_owned())).unwrap_or_else(|_| {
        let partition = found.partition();
        tracing::warn!(partition, "foreign commit metadata is not read: no UTF-8");
        String::new()
    })
}

/// Commits, as the client takes them.
pub(super) fn offsets_of<'a>(
    commits: impl IntoIterator<Item = (&'a str, i32, &'a Commit)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut offsets = TopicPartitionList::new();
    for (topic, partition, commit) in commits {
        let mut entry = offsets.add_partition(topic, partition);
        entry.set_offset(Offset::Offset(commit.offset))?;
        if !commit.metadata.is_empty() {
            entry.set_metadata(&commit.metadata);
        }
    }
    Ok(offsets)
}

/// Asks a group's coordinator, and again while it is being found or made.
fn patiently<T>(
    timeout: Duration,
    ask: impl Fn() -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let give_up = std::time::Instant::now() + timeout;
    loop {
        match ask() {
            Err(error) if is_passing(&error) && std::time::Instant::now() < give_up => {
                std::thread::sleep(BETWEEN_QUESTIONS);
            }
            other => return other,
        }
    }
}

/// What asking again a moment later mends.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::WaitingForCoordinator
        )
    )
}

fn is_group_in_use(error: &KafkaError) -> bool {
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

    #[test]
    fn positions_are_read_or_refused() {
        let read = |text: &str| positions(text, 3).map(|at| at.into_iter().collect::<Vec<_>>());
        assert_eq!(read("1@7"), Some(vec![(1, 7)]));
        assert_eq!(read("2@12, 0@5"), Some(vec![(0, 5), (2, 12)]));
        for wrong in ["", "7", "3@0", "-1@0", "0@-1", "0@1,0@2", "0@1,", "a@b"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
            let start = Start::Position(wrong.to_owned());
            let error = First::of(&start, 3).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("PARTITION@OFFSET"), "{error}");
        }
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
