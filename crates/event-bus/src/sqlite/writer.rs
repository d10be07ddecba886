//! The one connection that writes. Work that waits while a commit is under way shares the next one: many publishers and
//! many settlements cost one trip to the disk.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::clock::{FileClock, Now};
use super::config::Config;
use super::desks::Desks;
use super::fault::{Fault, is_busy};
use super::{lease, publish, schedule, schema, settle};
use crate::backend::Receipt;
use crate::name::TopicName;

/// How many messages, settlements and extensions share one commit at most.
const BATCH: usize = 4096;

/// Answers whoever asked for the work.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Fault>>;

/// What the writer is asked to do.
pub(super) enum Job {
    Publish(publish::Job),
    Settle(settle::Job),
    Extend(lease::Job),
    Other(Box<dyn Work>),
    Stop(oneshot::Sender<()>),
}

/// Work that stands alone in the transaction.
#[async_trait]
pub(super) trait Task: Send + Sync + 'static {
    /// What it finds out.
    type Output: Send + 'static;

    /// Does the work, once more if the transaction is repeated.
    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        now: Now,
        touched: &mut Touched,
    ) -> Result<Self::Output, sqlx::Error>;
}

/// A [`Task`] with its result to come.
#[async_trait]
pub(super) trait Work: Send + Sync {
    async fn apply(
        &mut self,
        connection: &mut SqliteConnection,
        now: Now,
        touched: &mut Touched,
    ) -> Result<(), sqlx::Error>;
    fn answer(self: Box<Self>, result: Result<(), Fault>);
}

/// A task and who waits for it.
pub(super) struct Pending<T: Task> {
    task: T,
    output: Mutex<Option<T::Output>>,
    reply: Reply<T::Output>,
}

impl<T: Task> Pending<T> {
    pub(super) fn new(task: T, reply: Reply<T::Output>) -> Self {
        let output = Mutex::new(None);
        Self {
            task,
            output,
            reply,
        }
    }
}

#[async_trait]
impl<T: Task> Work for Pending<T> {
    async fn apply(
        &mut self,
        connection: &mut SqliteConnection,
        now: Now,
        touched: &mut Touched,
    ) -> Result<(), sqlx::Error> {
        let output = self.task.apply(connection, now, touched).await?;
        *self
            .output
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner) = Some(output);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), Fault>) {
        let output = self
            .output
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let answer = result.and_then(|()| output.ok_or(Fault::Closed));
        // Who no longer listens does not need the answer.
        let _ = self.reply.send(answer);
    }
}

/// Whom a transaction concerns.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) topics: HashSet<i64>,
    pub(super) subscriptions: HashSet<i64>,
    /// Something was scheduled, or there may be more that is due.
    pub(super) scheduled: bool,
}

/// Jobs that share a transaction.
#[derive(Default)]
struct Batch {
    publishes: Vec<publish::Job>,
    settlements: Vec<settle::Job>,
    extensions: Vec<lease::Job>,
    others: Vec<Box<dyn Work>>,
    size: usize,
}

/// What the jobs of a batch found out, in their order.
struct Outcome {
    published: Vec<Vec<Option<i64>>>,
    settled: Vec<Vec<bool>>,
    extended: HashSet<(i64, Receipt)>,
}

/// Runs the writer until it is stopped or nobody can ask it any more.
pub(super) async fn run(
    config: Config,
    clock: Arc<FileClock>,
    connection: SqliteConnection,
    desks: Arc<Desks>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
) {
    let mut writer = Writer {
        config,
        clock,
        connection: Some(connection),
        topics: HashMap::new(),
        desks,
    };
    while let Some(first) = jobs.recv().await {
        let mut batch = Batch::default();
        let mut stop = batch.add(first);
        // Those who are about to ask get to ask.
        tokio::task::yield_now().await;
        while stop.is_none()
            && batch.size < BATCH
            && let Ok(job) = jobs.try_recv()
        {
            stop = batch.add(job);
        }
        writer.commit(batch).await;
        if let Some(stopped) = stop {
            // What is asked from here on is answered as closed, by its dropped reply.
            jobs.close();
            writer.disconnect().await;
            let _ = stopped.send(());
            return;
        }
    }
    writer.disconnect().await;
}

struct Writer {
    config: Config,
    clock: Arc<FileClock>,
    connection: Option<SqliteConnection>,
    topics: HashMap<TopicName, i64>,
    desks: Arc<Desks>,
}

impl Writer {
    async fn commit(&mut self, batch: Batch) {
        self.append_due().await;
        let Err(refused) = self.try_commit(batch).await else {
            return;
        };
        let parts = if refused.apart {
            // What cannot be written may be one job's, and must not fail what shares its transaction by chance.
            refused.batch.apart()
        } else {
            vec![refused.batch]
        };
        if parts.len() <= 1 {
            self.give_up(parts, &refused.fault);
            return;
        }
        for part in parts {
            if let Err(refused) = self.try_commit(part).await {
                self.give_up(vec![refused.batch], &refused.fault);
            }
        }
    }

    fn give_up(&self, batches: Vec<Batch>, fault: &Fault) {
        tracing::warn!(error = ?fault, path = %self.config.path.display(), "bus file not written");
        for batch in batches {
            batch.fail(fault);
        }
    }

    async fn try_commit(&mut self, mut batch: Batch) -> Result<(), Refused> {
        let deadline = Instant::now() + self.config.publish_timeout;
        loop {
            let mut touched = Touched::default();
            match self.attempt(&mut batch, &mut touched).await {
                Ok(outcome) => {
                    batch.succeed(outcome);
                    self.desks.wake(&touched);
                    return Ok(());
                }
                Err(Failed::Busy(_)) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(10)).await;
                }
                Err(Failed::Busy(fault)) => {
                    let apart = false;
                    return Err(Refused {
                        batch,
                        fault,
                        apart,
                    });
                }
                Err(Failed::Broken(fault)) => {
                    // What may have been written must not be written again.
                    let apart = matches!(fault, Fault::NotWritten(_));
                    return Err(Refused {
                        batch,
                        fault,
                        apart,
                    });
                }
            }
        }
    }

    /// What is due goes into the log before what is published now.
    async fn append_due(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut touched = Touched::default();
        match schedule::append_due(connection, self.clock.wall(), &mut touched).await {
            Ok(()) => self.desks.wake(&touched),
            // It stays scheduled, and is tried again before the next transaction.
            Err(error) if is_busy(&error) => {}
            Err(error) => {
                tracing::warn!(error = %error, path = %self.config.path.display(), "due messages not appended");
                self.connection = None;
            }
        }
    }

    async fn attempt(
        &mut self,
        batch: &mut Batch,
        touched: &mut Touched,
    ) -> Result<Outcome, Failed> {
        let result = match &mut self.connection {
            Some(connection) => {
                transact(connection, &self.clock, &mut self.topics, batch, touched).await
            }
            None => match schema::reconnect(&self.config).await {
                Ok(connection) => {
                    let connection = self.connection.insert(connection);
                    transact(connection, &self.clock, &mut self.topics, batch, touched).await
                }
                Err(error) => Err(Failed::from(error)),
            },
        };
        if result.is_err() {
            // What was rolled back is not known to be there.
            self.topics.clear();
        }
        if matches!(result, Err(Failed::Broken(_))) {
            // After a failure of the file, a new connection is the surest state.
            self.connection = None;
        }
        result
    }

    async fn disconnect(self) {
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(error = %error, "bus file not closed cleanly");
        }
    }
}

/// A batch that was not written, and why.
struct Refused {
    batch: Batch,
    fault: Fault,
    /// Its parts may be written all the same.
    apart: bool,
}

enum Failed {
    /// Another process holds the file: nothing was written, and trying again helps.
    Busy(Fault),
    Broken(Fault),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        if is_busy(&error) {
            Self::Busy(Fault::not_written(error))
        } else {
            Self::Broken(Fault::not_written(error))
        }
    }
}

async fn transact(
    connection: &mut SqliteConnection,
    clock: &FileClock,
    topics: &mut HashMap<TopicName, i64>,
    batch: &mut Batch,
    touched: &mut Touched,
) -> Result<Outcome, Failed> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let reached = clock.begin(&mut transaction).await?;
    let now = reached.now;
    let published = publish::apply(
        &mut transaction,
        topics,
        &batch.publishes,
        now.wall,
        touched,
    )
    .await?;
    let settled = settle::apply(&mut transaction, &batch.settlements, now, touched).await?;
    let extended = lease::apply(&mut transaction, &batch.extensions, now.steady).await?;
    for work in &mut batch.others {
        work.apply(&mut transaction, now, touched).await?;
    }
    transaction
        .commit()
        .await
        .map_err(|error| Failed::Broken(Fault::maybe_written(error)))?;
    clock.committed(&reached);
    Ok(Outcome {
        published,
        settled,
        extended,
    })
}

impl Batch {
    /// Takes a job in; the one that ends everything comes back.
    fn add(&mut self, job: Job) -> Option<oneshot::Sender<()>> {
        match job {
            Job::Publish(job) => {
                self.size += job.rows.len();
                self.publishes.push(job);
            }
            Job::Settle(job) => {
                self.size += job.verdicts.len();
                self.settlements.push(job);
            }
            Job::Extend(job) => {
                self.size += job.receipts.len();
                self.extensions.push(job);
            }
            Job::Other(work) => {
                self.size += 1;
                self.others.push(work);
            }
            Job::Stop(stopped) => return Some(stopped),
        }
        None
    }

    /// What is published, what is settled, what is extended, and each other work, by itself.
    fn apart(self) -> Vec<Self> {
        let kinds = [
            Self {
                publishes: self.publishes,
                ..Self::default()
            },
            Self {
                settlements: self.settlements,
                ..Self::default()
            },
            Self {
                extensions: self.extensions,
                ..Self::default()
            },
        ];
        let others = self.others.into_iter().map(|work| Self {
            others: vec![work],
            ..Self::default()
        });
        let parts = kinds.into_iter().chain(others);
        parts.filter(|part| !part.is_empty()).collect()
    }

    fn is_empty(&self) -> bool {
        self.publishes.is_empty()
            && self.settlements.is_empty()
            && self.extensions.is_empty()
            && self.others.is_empty()
    }

    // Who no longer listens does not need the answer.
    fn succeed(self, outcome: Outcome) {
        for (job, sequences) in self.publishes.into_iter().zip(outcome.published) {
            let _ = job.reply.send(Ok(sequences));
        }
        for (job, settled) in self.settlements.into_iter().zip(outcome.settled) {
            if let Some(reply) = job.reply {
                let _ = reply.send(Ok(settled));
            }
        }
        for job in self.extensions {
            let kept = job.kept(&outcome.extended);
            let _ = job.reply.send(Ok(kept));
        }
        for work in self.others {
            work.answer(Ok(()));
        }
    }

    fn fail(self, fault: &Fault) {
        for job in self.publishes {
            let _ = job.reply.send(Err(fault.clone()));
        }
        for reply in self.settlements.into_iter().filter_map(|job| job.reply) {
            let _ = reply.send(Err(fault.clone()));
        }
        for job in self.extensions {
            let _ = job.reply.send(Err(fault.clone()));
        }
        for work in self.others {
            work.answer(Err(fault.clone()));
        }
    }
}
