//! The thread that works off what is to be delivered later.
//!
//! Every bus that publishes with a delay, or that subscribes while something may wait, is a member of one group of the
//! cluster. It holds what is nearly due ([`Shelf`]), hands over what is, and commits a record only when its next place,
//! or its topic, has it confirmed. What it was killed over is handed over again.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Message as _, TopicPartitionList};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::config::Config;
use super::context::{Link, log};
use super::delayed::{LEVELS, Place, Shelf, Waiting, level_for, place};
use super::offsets::{committed_by, offsets_of};
use super::publish::Publisher;
use super::record::Record;
use super::topics::{Keeps, Topics};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::lanes::Departure;

type Client = StreamConsumer<Callbacks>;

const GROUP: &str = "commerce-event-bus_delayed";
const OPERATION: &str = "delay";

const AFTER_A_FAILURE: Duration = Duration::from_secs(1);
/// How often records that were handed over are deleted.
const BETWEEN_DELETIONS: Duration = Duration::from_secs(30);
/// A bus that only subscribes, and ends soon, is not worth a rebalance.
const BEFORE_THE_FIRST_LOOK: Duration = Duration::from_secs(5);
/// How often a bus that only subscribes looks whether anything is delayed at all.
const BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// Starts the thread when there is something to do, and ends it.
pub(super) struct Scheduler {
    config: Config,
    topics: Arc<Topics>,
    publisher: Arc<Publisher>,
    state: tokio::sync::Mutex<State>,
    /// Somebody looks already.
    looking: AtomicBool,
}

enum State {
    Idle,
    Running(Arc<Departure>),
    Closed,
}

impl Scheduler {
    pub(super) fn new(config: &Config, topics: &Arc<Topics>, publisher: &Arc<Publisher>) -> Self {
        Self {
            config: config.clone(),
            topics: Arc::clone(topics),
            publisher: Arc::clone(publisher),
            state: tokio::sync::Mutex::new(State::Idle),
            looking: AtomicBool::new(false),
        }
    }

    /// Makes the topics and takes part in working them off; does nothing the second time.
    pub(super) async fn start(&self) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if !matches!(*state, State::Idle) {
            return Ok(());
        }
        let levels = LEVELS
            .iter()
            .map(|level| self.topics.ensure(OPERATION, level.topic, Keeps::Delayed));
        try_join_all(levels).await?;
        let departure = Arc::new(Departure::new());
        let worker = Worker {
            config: self.config.clone(),
            topics: Arc::clone(&self.topics),
            publisher: Arc::clone(&self.publisher),
            departure: Arc::clone(&departure),
            shelf: Arc::default(),
        };
        std::thread::Builder::new()
            .name("kafka-scheduler".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| {
                Error::new(ErrorKind::Backend, OPERATION, "no thread for the scheduler")
                    .with_source(error)
            })?;
        *state = State::Running(departure);
        Ok(())
    }

    /// Takes part as soon as anything in the cluster is delayed.
    pub(super) fn start_when_needed(self: &Arc<Self>) {
        if self.looking.swap(true, Ordering::Relaxed) {
            return;
        }
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep(BEFORE_THE_FIRST_LOOK).await;
            while let Some(scheduler) = this.upgrade() {
                if !matches!(*scheduler.state.lock().await, State::Idle) {
                    return;
                }
                let there = scheduler
                    .topics
                    .partitions(OPERATION, LEVELS[0].topic)
                    .await;
                let started = match there {
                    Ok(None) => Ok(()),
                    Ok(Some(_)) => scheduler.start().await,
                    Err(error) => Err(error),
                };
                if let Err(error) = started {
                    tracing::warn!(%error, "delayed messages are not worked off by this process yet");
                }
                drop(scheduler);
                sleep(BETWEEN_LOOKS).await;
            }
        });
    }

    /// Leaves the group; what waits here is another member's.
    pub(super) async fn close(&self, within: Duration) {
        let state = std::mem::replace(&mut *self.state.lock().await, State::Closed);
        if let State::Running(departure) = state {
            departure.ask(Duration::ZERO);
            if timeout(within, departure.gone()).await.is_err() {
                tracing::warn!("the group of delayed messages is not left yet");
            }
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        if let State::Running(departure) = self.state.get_mut() {
            departure.ask(Duration::ZERO);
        }
    }
}

struct Worker {
    config: Config,
    topics: Arc<Topics>,
    publisher: Arc<Publisher>,
    departure: Arc<Departure>,
    shelf: Arc<Mutex<Shelf>>,
}

fn lock(shared: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    // Nothing panics between two changes that belong together.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    fn run(self) {
        // Whatever way this thread ends, who waits for it learns of it.
        let _gone = Gone(Arc::clone(&self.departure));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.work_on()),
            Err(error) => {
                tracing::error!(%error, "no runtime for the scheduler of delayed messages");
            }
        }
    }

    /// Works until asked to leave, with one client after another where one gives up.
    async fn work_on(&self) {
        loop {
            match self.join() {
                Ok(client) => {
                    let gave_up = self.work(&client).await;
                    // Blocks until the group is left; this thread may.
                    drop(client);
                    lock(&self.shelf).clear();
                    let Err(error) = gave_up else { return };
                    tracing::error!(%error, "the Kafka client of delayed messages gave up; another one goes on");
                }
                Err(error) => tracing::error!(%error, "no Kafka client for delayed messages"),
            }
            tokio::select! {
                () = self.departure.asked() => return,
                () = sleep(AFTER_A_FAILURE) => {}
            }
        }
    }

    fn now(&self) -> i64 {
        self.config.clock.now().timestamp_millis()
    }

    fn join(&self) -> Result<Client, KafkaError> {
        let callbacks = Callbacks {
            shelf: Arc::clone(&self.shelf),
            metadata_limit: self.config.commit_metadata,
            request_timeout: self.config.request_timeout,
            link: self.config.link.clone(),
            clock: self.config.clock.clone(),
        };
        let client: Client = self
            .config
            .scheduler(GROUP)
            .create_with_context(callbacks)?;
        let topics: Vec<&str> = LEVELS.iter().map(|level| level.topic).collect();
        client.subscribe(&topics)?;
        Ok(client)
    }

    async fn work(&self, client: &Client) -> Result<(), KafkaError> {
        let every = self.config.commit_interval.max(Duration::from_millis(1));
        let mut commits = interval(every);
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deletions = interval(BETWEEN_DELETIONS);
        let mut deleted = BTreeMap::new();
        loop {
            // Looked at anew at every commit: the wall's clock may jump.
            let next = lock(&self.shelf).next_at(self.now());
            let until_next =
                next.map(|at| u64::try_from(at.saturating_sub(self.now())).unwrap_or(0));
            tokio::select! {
                biased;
                () = self.departure.asked() => break,
                _ = commits.tick() => client.context().commit(client, None, CommitMode::Async),
                _ = deletions.tick() => self.delete(&mut deleted).await,
                received = client.recv() => match received {
                    Ok(message) => {
                        let record = Record::copy(&message);
                        if let Some(place) = place(message.topic(), record.partition)
                            && !lock(&self.shelf).receive(place, record, self.now())
                        {
                            tracing::error!(topic = place.0, partition = place.1, "a foreign record among delayed messages is passed over");
                        }
                    }
                    Err(KafkaError::MessageConsumptionFatal(code)) => {
                        return Err(KafkaError::MessageConsumptionFatal(code));
                    }
                    // The client goes on and reconnects by itself.
                    Err(error) => tracing::warn!(%error, "Kafka, delayed messages"),
                },
                // After what is there to be read, so that it takes its place; what is full is paused, so it has its turn.
                () = sleep(Duration::from_millis(until_next.unwrap_or(0))), if until_next.is_some() => {
                    self.hand_over().await;
                }
            }
            self.pause_and_resume(client);
        }
        client.context().commit(client, None, CommitMode::Sync);
        self.delete(&mut deleted).await;
        Ok(())
    }

    /// Gives what is due to its topic, and what is not to the next level.
    async fn hand_over(&self) {
        let taken = lock(&self.shelf).take(self.now());
        let on_their_way: Vec<(String, Record)> = taken
            .iter()
            .map(|waiting| destination(waiting, self.now()))
            .collect();
        let results = self.publisher.publish_each(OPERATION, on_their_way).await;
        let mut failed = None;
        for (waiting, result) in taken.into_iter().zip(results) {
            let mut locked = lock(&self.shelf);
            match result {
                Ok(()) => locked.settle(&waiting),
                Err(error) => {
                    let again = self.now().saturating_add(1000);
                    tracing::debug!(%error, topic = %waiting.topic, "a delayed message is not handed over yet");
                    locked.put(waiting, again);
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            tracing::warn!(%error, "delayed messages are not handed over yet; they are tried again");
        }
    }

    /// What every process is done with need not fill the brokers' disks.
    async fn delete(&self, deleted: &mut BTreeMap<Place, i64>) {
        let positions = lock(&self.shelf).positions();
        for (place, position) in positions {
            if deleted
                .get(&place)
                .is_some_and(|before| *before >= position)
            {
                continue;
            }
            let (topic, partition) = place;
            match self
                .topics
                .delete_before(OPERATION, topic, partition, position)
                .await
            {
                Ok(()) => {
                    deleted.insert(place, position);
                }
                Err(error) => {
                    tracing::warn!(%error, topic, partition, "delayed messages that were handed over are not deleted");
                }
            }
        }
    }

    fn pause_and_resume(&self, client: &Client) {
        let (pause, resume) = lock(&self.shelf).take_changes();
        for (changed, paused) in [(pause, true), (resume, false)] {
            if changed.is_empty() {
                continue;
            }
            let mut partitions = TopicPartitionList::new();
            for (topic, partition) in changed {
                partitions.add_partition(topic, partition);
            }
            let done = if paused {
                client.pause(&partitions)
            } else {
                client.resume(&partitions)
            };
            if let Err(error) = done {
                tracing::warn!(%error, paused, "Kafka partitions of delayed messages not paused or resumed");
            }
        }
    }
}

fn destination(waiting: &Waiting, now: i64) -> (String, Record) {
    let left = waiting.due.saturating_sub(now);
    if left <= 0 {
        (waiting.topic.to_string(), waiting.delivered())
    } else {
        (level_for(left).topic.to_owned(), waiting.delayed_again())
    }
}

/// What the client calls back, on the scheduler's thread.
struct Callbacks {
    shelf: Arc<Mutex<Shelf>>,
    metadata_limit: usize,
    request_timeout: Duration,
    link: Link,
    clock: Clock,
}

impl ClientContext for Callbacks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        self.link.token()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka client of delayed messages");
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => self.assigned(client, &places(partitions)),
            Rebalance::Revoke(partitions) => {
                let places = places(partitions);
                if !client.assignment_lost() {
                    self.commit(client, Some(&places), CommitMode::Sync);
                }
                lock(&self.shelf).revoked(&places);
            }
            Rebalance::Error(error) => tracing::warn!(%error, "Kafka rebalance, delayed messages"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let mut locked = lock(&self.shelf);
        for element in offsets.elements() {
            let failed = result.is_err() || element.error().is_err();
            if let Some(place) = place(element.topic(), element.partition())
                && failed
            {
                locked.commit_failed(place);
            }
        }
    }
}

impl Callbacks {
    fn assigned(&self, client: &BaseConsumer<Self>, places: &BTreeSet<Place>) {
        for level in &LEVELS {
            let partitions: Vec<i32> = places
                .iter()
                .filter(|(topic, _)| *topic == level.topic)
                .map(|(_, partition)| *partition)
                .collect();
            if partitions.is_empty() {
                continue;
            }
            let committed = committed_by(
                client,
                level.topic,
                partitions.iter().copied(),
                self.request_timeout,
            );
            let mut committed = committed.unwrap_or_else(|error| {
                tracing::warn!(%error, topic = level.topic, "delayed messages that were handed over may be so again");
                BTreeMap::new()
            });
            let mut locked = lock(&self.shelf);
            for partition in partitions {
                locked.assigned(
                    (level.topic, partition),
                    committed.remove(&partition),
                    self.clock.now().timestamp_millis(),
                );
            }
        }
    }

    /// Nothing is lost with a commit that fails: the next one repeats it, or another member hands over again.
    fn commit<C: Consumer<Self>>(
        &self,
        client: &C,
        of: Option<&BTreeSet<Place>>,
        mode: CommitMode,
    ) {
        let commits = lock(&self.shelf).take_commit(of, self.metadata_limit);
        if commits.is_empty() {
            return;
        }
        let offsets = commits
            .iter()
            .map(|((topic, partition), commit)| (*topic, *partition, commit));
        let committed = offsets_of(offsets).and_then(|offsets| client.commit(&offsets, mode));
        if let Err(error) = committed {
            tracing::warn!(%error, "Kafka offsets of delayed messages not committed");
            let mut locked = lock(&self.shelf);
            for (place, _) in commits {
                locked.commit_failed(place);
            }
        }
    }
}

/// Plain values at once: the client hangs when it is dropped before a list that it gave out.
fn places(partitions: &TopicPartitionList) -> BTreeSet<Place> {
    let elements = partitions.elements();
    let of = elements
        .iter()
        .map(|element| place(element.topic(), element.partition()));
    of.flatten().collect()
}

/// Says so when dropped.
struct Gone(Arc<Departure>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.done();
    }
}
