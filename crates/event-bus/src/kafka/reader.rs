//! The thread that reads for one member of a group.
//!
//! The client calls back on the thread that polls it, and a revoked partition must wait in that callback for its
//! deliveries in flight. So the client lives on a thread of its own: waiting there stops neither the handlers nor the
//! runtime, and dropping the client, which blocks, happens there too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::config::Config;
use super::member::Member;
use super::publish::log;
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
            member.all_revoked();
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
        };
        let config = self.config.member(&self.member.group, self.member.lease);
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
        let mut paused = false;
        loop {
            tokio::select! {
                biased;
                () = member.departure.asked() => break,
                _ = commits.tick() => commit(client, member, None, CommitMode::Async),
                () = member.desk.intake(), if paused => {
                    if member.desk.look(|lanes, _| lanes.is_half_empty()) {
                        paused = false;
                        set_paused(client, member, paused);
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
                        paused = true;
                        set_paused(client, member, paused);
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
        set_paused(client, member, true);
        let mut commits = interval(self.config.commit_interval.max(Duration::from_millis(1)));
        loop {
            tokio::select! {
                biased;
                () = member.desk.drained() => break,
                () = member.departure.time_is_up() => break,
                _ = commits.tick() => commit(client, member, None, CommitMode::Async),
                // Polled for the group's sake. What still comes was not received: its offset is not committed.
                received = client.recv() => drop(received),
            }
        }
        commit(client, member, None, CommitMode::Sync);
    }
}

fn set_paused<C: rdkafka::consumer::Consumer<Callbacks>>(
    client: &C,
    member: &Member,
    paused: bool,
) {
    let mut partitions = TopicPartitionList::new();
    for partition in member.desk.look(|_, assigned| assigned.numbers()) {
        partitions.add_partition(member.topic.as_str(), partition);
    }
    let done = if paused {
        client.pause(&partitions)
    } else {
        client.resume(&partitions)
    };
    if let Err(error) = done {
        tracing::warn!(%error, paused, topic = %member.topic, "Kafka partitions not paused or resumed");
    }
}

fn commit<C: rdkafka::consumer::Consumer<Callbacks>>(
    client: &C,
    member: &Member,
    of: Option<&BTreeSet<i32>>,
    mode: CommitMode,
) {
    let positions = member.desk.change(|_, assigned| assigned.take_commit(of));
    if positions.is_empty() {
        return;
    }
    let mut offsets = TopicPartitionList::new();
    let added = positions.iter().try_for_each(|(partition, offset)| {
        offsets.add_partition_offset(member.topic.as_str(), *partition, Offset::Offset(*offset))
    });
    if let Err(error) = added.and_then(|()| client.commit(&offsets, mode)) {
        report_commit(&error, member);
        member.commit_failed(positions.iter().map(|(partition, _)| *partition));
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
}

impl ClientContext for Callbacks {
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
            Rebalance::Assign(partitions) => self.member.assigned(&numbers(partitions)),
            Rebalance::Revoke(partitions) => {
                let partitions = numbers(partitions);
                // Lost partitions belong to another member by now: there is nothing to wait for.
                if !client.assignment_lost() {
                    self.release(client, &partitions);
                }
                self.member.revoked(&partitions);
            }
            Rebalance::Error(error) => {
                tracing::warn!(%error, topic = %self.member.topic, "Kafka rebalance");
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let failed: Vec<i32> = offsets
            .elements()
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
    /// Stops the hand-out of partitions, waits for what is in flight, commits. The group waits for this too.
    fn release(&self, client: &BaseConsumer<Self>, partitions: &BTreeSet<i32>) {
        let member = &self.member;
        member.leaving(partitions);
        let settled = member.desk.block_until_settled(self.drain, |item| {
            partitions.contains(&item.record.partition)
        });
        if !settled {
            tracing::warn!(
                topic = %member.topic, subscription = %member.name, within = ?self.drain,
                "deliveries of revoked partitions are not settled; another member repeats them"
            );
        }
        commit(client, member, Some(partitions), CommitMode::Sync);
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
