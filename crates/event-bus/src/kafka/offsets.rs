//! What a topic's and a group's offsets say, and setting a group's.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::completed::Completed;
use super::config::Config;
use super::context::Context;
use super::frontier::Commit;
use super::record::Record;
use super::topics::{BETWEEN_QUESTIONS, QUESTIONS, Topics, blocking};
use super::unavailable;
use crate::error::{Error, ErrorKind};
use crate::subscription::Start;

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

impl Topics {
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
            (0..partitions)
                .map(|partition| {
                    // A leader that was just elected does not know it everywhere yet.
                    of_leaders(&inspector, &topic, timeout, |left| {
                        inspector.fetch_watermarks(&topic, partition, left)
                    })
                    .map(|watermarks| (partition, watermarks))
                    .map_err(|error| {
                        let problem = format!("no offsets of topic {topic}");
                        unavailable(operation, problem, error)
                    })
                })
                .collect()
        })
        .await
    }

    /// The same of a topic that exists, though a broker may not have heard of it yet.
    async fn watermarks_of_known(
        &self,
        operation: &'static str,
        topic: &str,
    ) -> Result<Watermarks, Error> {
        let give_up = Instant::now() + self.config.request_timeout;
        loop {
            let watermarks = self.watermarks(operation, topic).await?;
            if !watermarks.is_empty() {
                return Ok(watermarks);
            }
            if Instant::now() >= give_up {
                let problem = format!("the brokers do not know topic {topic}");
                return Err(Error::new(ErrorKind::Unavailable, operation, problem));
            }
            tokio::time::sleep(BETWEEN_QUESTIONS).await;
        }
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
        let watermarks = self.watermarks_of_known(OPERATION, topic).await?;
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
                    let since = |left| offsets_since(&asking, &topic, *time, &watermarks, left);
                    of_leaders(&asking, &topic, timeout, since).map_err(failed)?
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
            match patiently(timeout, |_| asking.commit(&first, CommitMode::Sync)) {
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
            patiently(timeout, |_| committing.commit(&offsets, CommitMode::Sync)).map_err(failed)
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
    let give_up = Instant::now() + within;
    while !open.is_empty() && Instant::now() < give_up {
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
    let committed = patiently(timeout, |left| {
        let committed = asking.committed_offsets(wanted.clone(), left)?;
        committed.elements().iter().try_for_each(is_told)?;
        Ok(committed)
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

/// What has no answer is not what has no commit: taken for that, it would begin anew.
fn is_told(found: &TopicPartitionListElem<'_>) -> Result<(), KafkaError> {
    match found.error() {
        // Of a topic that is gone, nothing is committed.
        Err(error) if code_of(&error) == Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(()),
        told => told,
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

/// Asks, and asks again while a leader or a coordinator is being found or made; told is how long this question may take, which
/// is never all of it: who is asked may have died.
pub(super) fn patiently<T>(
    timeout: Duration,
    ask: impl Fn(Duration) -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let give_up = Instant::now() + timeout;
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        match ask(left.min(timeout / QUESTIONS).max(BETWEEN_QUESTIONS)) {
            Err(error) if is_passing(&error) && Instant::now() < give_up => {
                std::thread::sleep(BETWEEN_QUESTIONS);
            }
            other => return other,
        }
    }
}

/// Asks those who lead a topic's partitions. The client believes whom it last heard to lead, and would ask a node that died
/// until the time is over: before the next question it looks again.
fn of_leaders<T>(
    asking: &BaseConsumer<Context>,
    topic: &str,
    timeout: Duration,
    ask: impl Fn(Duration) -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let again = Cell::new(false);
    patiently(timeout, |share| {
        if again.replace(true) {
            asking.fetch_metadata(Some(topic), share)?;
        }
        ask(share)
    })
}

/// The code of an error, if it has one.
pub(super) fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        // The administrator's, which the client does not count among those with a code. No other has one that it hides.
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    }
}

/// What asking again a moment later mends.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::DestroyBroker
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::WaitingForCoordinator
                | RDKafkaErrorCode::NotController
                | RDKafkaErrorCode::NetworkException
                | RDKafkaErrorCode::KafkaStorageError
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
                | RDKafkaErrorCode::OffsetNotAvailable
                | RDKafkaErrorCode::UnstableOffsetCommit
                | RDKafkaErrorCode::ThrottlingQuotaExceeded
        )
    )
}

fn is_group_in_use(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        Some(
            RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::StaleMemberEpoch
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_that_got_no_answer_asks_again() {
        let passing = [
            RDKafkaErrorCode::OperationTimedOut,
            RDKafkaErrorCode::LeaderNotAvailable,
            RDKafkaErrorCode::NotController,
        ];
        for code in passing {
            assert!(is_passing(&KafkaError::AdminOp(code)), "{code}");
            assert!(is_passing(&KafkaError::MetadataFetch(code)), "{code}");
        }
        let denied = RDKafkaErrorCode::TopicAuthorizationFailed;
        assert!(!is_passing(&KafkaError::AdminOp(denied)));
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
}
