//! The thread that reads for one member of a group.
//!
//! The client calls back on the thread that polls it, and a revoked partition must wait in that callback for its
//! deliveries in flight. So the client lives on a thread of its own: waiting there stops neither the handlers nor the
//! runtime, and dropping the client, which blocks, happens there too.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::config::Config;
use super::context::{Link, log};
use super::frontier::Commit;
use super::member::Member;
use super::offsets::{Committed, code_of, committed_by, offsets_of};
use super::record::Record;
use super::{failed, unavailable};
use crate::error::{Error, ErrorKind};

type Client = StreamConsumer<Callbacks>;

const BEFORE_JOINING_AGAIN: Duration = Duration::from_secs(1);

/// Starts the reader of a member; returns when its client exists. It ends when the member leaves.
pub(super) async fn start(config: &Config, member: &Arc<Member>) -> Result<(), Error> {
    let (ready, started) = oneshot::channel();
    let reader = Reader {
        config: config.clone(),
        member: Arc::clone(member),
    };
    std::thread::Builder::new()
        .name("kafka-reader".to_owned())
        .spawn(move || reader.run(ready))
        .map_err(|error| {
            member.departure.done();
            Error::new(ErrorKind::Backend, "subscribe", "no thread for the reader")
                .with_source(error)
        })?;
    started.await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Backend,
            "subscribe",
            "the reader ended at once",
        ))
    })
}

struct Reader {
    config: Config,
    member: Arc<Member>,
}

/// Why reading stopped.
enum Stopped {
    Left,
    /// The client gave up for good; another one goes on.
    Fatal(KafkaError),
}

impl Reader {
    fn run(self, ready: oneshot::Sender<Result<(), Error>>) {
        // Whatever way this thread ends, who waits for it learns of it.
        let _gone = Gone(Arc::clone(&self.member));
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                let error =
                    Error::new(ErrorKind::Backend, "subscribe", "no runtime for the reader")
                        .with_source(error);
                let _ = ready.send(Err(error));
                return;
            }
        };
        runtime.block_on(self.read_on(ready));
    }

    /// Reads until the member leaves, with one client after another where one gives up.
    async fn read_on(&self, ready: oneshot::Sender<Result<(), Error>>) {
        let member = &self.member;
        let mut client = match self.join() {
            Ok(client) => client,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        if ready.send(Ok(())).is_err() {
            // Who subscribed does not wait any more.
            return;
        }
        loop {
            let stopped = self.read(&client).await;
            // Of a client that gave up: nothing can be committed through it.
            drop(member.give_up_all());
            // Blocks until the group is left; this thread may.
            drop(client);
            let Stopped::Fatal(error) = stopped else {
                return;
            };
            let problem = "the Kafka client gave up; another one joins the group";
            member.desk.report(unavailable("receive", problem, error));
            client = loop {
                tokio::select! {
                    () = member.departure.asked() => return,
                    () = sleep(BEFORE_JOINING_AGAIN) => {}
                }
                match self.join() {
                    Ok(client) => break client,
                    Err(error) => member.desk.report(error),
                }
            };
        }
    }

    fn join(&self) -> Result<Client, Error> {
        let failed = |error| failed("subscribe", "the Kafka consumer could not be made", error);
        let callbacks = Callbacks {
            member: Arc::clone(&self.member),
            drain: self.config.drain,
            request_timeout: self.config.request_timeout,
            link: self.config.link.clone(),
        };
        let member = &self.member;
        let config = self.config.member(
            &member.group,
            member.instance.as_deref(),
            member.lease,
            member.max_bytes,
        );
        let client: Client = config.create_with_context(callbacks).map_err(failed)?;
        client
            .subscribe(&[self.member.topic.as_str()])
            .map_err(failed)?;
        Ok(client)
    }

    async fn read(&self, client: &Client) -> Stopped {
        let member = &self.member;
        let mut commits = interval(self.config.commit_interval.max(Duration::from_millis(1)));
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut full = false;
        loop {
            tokio::select! {
                biased;
                () = member.departure.asked() => break,
                _ = commits.tick() => {
                    commit(client, member, &member.to_commit(), CommitMode::Async);
                    pause_and_resume(client, member, full);
                }
                () = member.desk.intake(), if full => {
                    if member.desk.look(|lanes, _| lanes.is_half_empty()) {
                        full = false;
                        pause_and_resume(client, member, full);
                    }
                }
                received = client.recv() => {
                    match received {
                        Ok(message) => member.receive(Record::copy(&message)),
                        Err(KafkaError::MessageConsumptionFatal(code)) => {
                            return Stopped::Fatal(KafkaError::MessageConsumptionFatal(code));
                        }
                        // The client goes on and reconnects by itself.
                        Err(error) => tracing::warn!(%error, topic = %member.topic, subscription = %member.name, "Kafka"),
                    }
                    // Also after a rebalance brought partitions that are not paused yet.
                    if !member.desk.look(|lanes, _| lanes.has_room()) {
                        full = true;
                        pause_and_resume(client, member, full);
                    }
                }
            }
        }
        self.leave(client).await;
        Stopped::Left
    }

    /// Stays in the group, without reading, while deliveries in flight are settled; then commits.
    async fn leave(&self, client: &Client) {
        let member = &self.member;
        pause_and_resume(client, member, true);
        let mut commits = interval(self.config.commit_interval.max(Duration::from_millis(1)));
        loop {
            tokio::select! {
                biased;
                () = member.desk.drained() => break,
                () = member.departure.time_is_up() => break,
                _ = commits.tick() => commit(client, member, &member.to_commit(), CommitMode::Async),
                // Polled for the group's sake. What still comes was not received: its offset is not committed.
                received = client.recv() => drop(received),
            }
        }
        commit(client, member, &member.give_up_all(), CommitMode::Sync);
    }
}

/// Pauses what may not be fetched now and resumes what may: everything waits for a member that is full, and a partition
/// for its own settled records when they hardly fit beside its position.
fn pause_and_resume<C: rdkafka::consumer::Consumer<Callbacks>>(
    client: &C,
    member: &Member,
    full: bool,
) {
    let (pause, resume) = member.desk.look(|_, assigned| assigned.to_change(full));
    for (changed, paused) in [(pause, true), (resume, false)] {
        if changed.is_empty() {
            continue;
        }
        let mut partitions = TopicPartitionList::new();
        for partition in &changed {
            partitions.add_partition(member.topic.as_str(), *partition);
        }
        let done = if paused {
            client.pause(&partitions)
        } else {
            client.resume(&partitions)
        };
        match done {
            Ok(()) => member
                .desk
                .change(|_, assigned| assigned.changed(&changed, paused)),
            Err(error) => {
                tracing::warn!(%error, paused, topic = %member.topic, "Kafka partitions not paused or resumed");
            }
        }
    }
}

fn commit<C: rdkafka::consumer::Consumer<Callbacks>>(
    client: &C,
    member: &Member,
    commits: &[(i32, Commit)],
    mode: CommitMode,
) {
    if commits.is_empty() {
        return;
    }
    let topic = member.topic.as_str();
    let offsets = commits
        .iter()
        .map(|(partition, commit)| (topic, *partition, commit));
    let committed = offsets_of(offsets).and_then(|offsets| client.commit(&offsets, mode));
    if let Err(error) = committed {
        report_commit(&error, member);
        member.commit_failed(commits.iter().map(|(partition, _)| *partition));
    }
}

/// Nothing is lost with a commit that fails: the next one repeats it, or another member repeats the deliveries.
fn report_commit(error: &KafkaError, member: &Member) {
    tracing::warn!(%error, topic = %member.topic, subscription = %member.name, "Kafka offsets not committed");
}

/// What the client calls back, on the reader's thread.
struct Callbacks {
    member: Arc<Member>,
    drain: Duration,
    request_timeout: Duration,
    link: Link,
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
        tracing::warn!(%error, reason, topic = %self.member.topic, "Kafka client");
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                let partitions = numbers(partitions);
                let committed = self.committed(client, &partitions);
                self.member.assigned(&partitions, &committed);
            }
            Rebalance::Revoke(partitions) => {
                let partitions = numbers(partitions);
                if client.assignment_lost() {
                    // They belong to another member by now: there is nothing to wait for, and nothing to commit.
                    drop(self.member.give_up(&partitions, Duration::ZERO));
                } else {
                    self.release(client, &partitions);
                }
            }
            Rebalance::Error(error) => {
                tracing::warn!(%error, topic = %self.member.topic, "Kafka rebalance");
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let elements = offsets.elements();
        let too_large =
            |error: &KafkaError| code_of(error) == Some(RDKafkaErrorCode::OffsetMetadataTooLarge);
        if elements
            .iter()
            .filter_map(|element| element.error().err())
            .chain(result.clone().err())
            .any(|error| too_large(&error))
        {
            tracing::warn!(
                topic = %self.member.topic, subscription = %self.member.name,
                "the broker takes less commit metadata than we write: set commit_metadata to its offset.metadata.max.bytes; until then what is settled out of order comes again after a crash"
            );
            self.member.without_metadata();
        }
        let failed: Vec<i32> = elements
            .iter()
            .filter(|element| result.is_err() || element.error().is_err())
            .map(TopicPartitionListElem::partition)
            .collect();
        match result {
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => return,
            Err(error) => report_commit(&error, &self.member),
            Ok(()) => {}
        }
        self.member.commit_failed(failed.into_iter());
    }
}

impl Callbacks {
    /// What the group knows of new partitions. Not to know it is no harm: what was settled beyond a position comes again.
    fn committed(&self, client: &BaseConsumer<Self>, partitions: &BTreeSet<i32>) -> Committed {
        let topic = self.member.topic.as_str();
        if partitions.is_empty() {
            return Committed::new();
        }
        let committed = committed_by(
            client,
            topic,
            partitions.iter().copied(),
            self.request_timeout,
        );
        committed.unwrap_or_else(|error| {
            tracing::warn!(%error, topic, subscription = %self.member.name, "what is settled beyond the positions is not known");
            Committed::new()
        })
    }

    /// Stops the hand-out of partitions, waits for what is in flight, commits. The group waits for this too.
    fn release(&self, client: &BaseConsumer<Self>, partitions: &BTreeSet<i32>) {
        let member = &self.member;
        let (is_settled, commits) = member.give_up(partitions, self.drain);
        if !is_settled {
            tracing::warn!(
                topic = %member.topic, subscription = %member.name, within = ?self.drain,
                "deliveries of revoked partitions are not settled; another member repeats them"
            );
        }
        commit(client, member, &commits, CommitMode::Sync);
    }
}

/// Plain numbers at once: the client hangs when it is dropped before a list that it gave out.
fn numbers(partitions: &TopicPartitionList) -> BTreeSet<i32> {
    partitions
        .elements()
        .iter()
        .map(TopicPartitionListElem::partition)
        .collect()
}

/// Says so when dropped.
struct Gone(Arc<Member>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.departure.done();
    }
}
