#![doc = include_str!("../../docs/sqlite.md")]

mod backlog;
mod claim;
mod clock;
mod codec;
mod config;
mod dead_letter;
mod desk;
mod desks;
mod expiry;
mod fault;
mod feed;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod identity;
mod lease;
mod publish;
mod pump;
mod retention;
mod schedule;
mod schema;
mod settle;
mod statements;
mod sync;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqlitePool;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use self::clock::FileClock;
use self::config::Config;
use self::dead_letter::Purge;
use self::desk::Desk;
use self::desks::Desks;
use self::fault::{Fault, closed};
use self::feed::{Ping, SqliteFeed};
use self::identity::Identity;
use self::settle::Verdict;
use self::writer::{Job, Pending, Task};
use crate::backend::{Backend, Feed, Receipt};
use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::clock::Clock;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, PublishError};
use crate::filter::Filter;
use crate::message::{Accepted, Message};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Subscription;

/// The backend behind `sqlite:`.
pub(crate) struct Sqlite {
    shared: Arc<Shared>,
}

/// What the backend, its feeds and their settlers share.
struct Shared {
    config: Config,
    identity: Identity,
    clock: Arc<FileClock>,
    readers: SqlitePool,
    jobs: mpsc::UnboundedSender<Job>,
    /// Bounds what waits for the writer.
    room: Arc<Semaphore>,
    desks: Arc<Desks>,
    /// No more subscribers and deliveries; those in flight may still publish and settle.
    closing: AtomicBool,
    closed: AtomicBool,
}

impl Shared {
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn ask(&self, job: Job) -> Result<(), Fault> {
        self.jobs.send(job).map_err(|_| Fault::Closed)
    }

    /// Has a task done by the writer.
    async fn work<T: Task>(&self, task: T) -> Result<T::Output, Fault> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Other(Box::new(Pending::new(task, reply))))?;
        answer.await.unwrap_or(Err(Fault::Closed))
    }

    /// Gives deliveries back without waiting. Where the writer is gone, their leases end by themselves.
    fn give_back(
        &self,
        desk: &Desk,
        receipts: impl IntoIterator<Item = Receipt>,
        verdict: fn() -> Verdict,
    ) {
        let verdicts: Vec<_> = receipts
            .into_iter()
            .map(|receipt| (receipt, verdict()))
            .collect();
        if !verdicts.is_empty() {
            let _ = self.ask(Job::Settle(settle::Job {
                subscription: desk.place.subscription,
                verdicts,
                reply: None,
            }));
        }
    }
}

impl Sqlite {
    /// From a URL without its scheme.
    pub(crate) async fn connect(rest: &str, clock: Clock) -> Result<Self, Error> {
        let config = Config::parse(rest)?;
        let mut connection = schema::open_writer(&config).await?;
        let identity = Identity::of(&config.path).await.map_err(|source| {
            let problem = "the bus file cannot be looked at";
            Error::new(ErrorKind::Unavailable, "connect", problem).with_source(source)
        })?;
        let clock = FileClock::open(clock, &mut connection)
            .await
            .map_err(|source| fault::error("connect", source))?;
        let clock = Arc::new(clock);
        let readers = schema::open_readers(&config).await?;
        let desks = Arc::new(Desks::default());
        let (jobs, queue) = mpsc::unbounded_channel();
        tokio::spawn(writer::run(
            config.clone(),
            Arc::clone(&clock),
            connection,
            Arc::clone(&desks),
            queue,
        ));
        let shared = Arc::new(Shared {
            config,
            identity,
            clock,
            readers,
            jobs,
            room: publish::room(),
            desks,
            closing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        tokio::spawn(retention::run(Arc::downgrade(&shared)));
        tokio::spawn(schedule::run(Arc::downgrade(&shared)));
        tokio::spawn(expiry::run(Arc::downgrade(&shared)));
        Ok(Self { shared })
    }

    async fn drain(&self, deadline: Instant) -> Result<(), Error> {
        let desks = &self.shared.desks;
        let drained = async {
            loop {
                let settled = desks.settled.notified();
                if desks.in_flight() == 0 {
                    break;
                }
                settled.await;
            }
        };
        timeout_at(deadline, drained).await.map_err(|_| {
            let left = desks.in_flight();
            Error::new(
                ErrorKind::Timeout,
                "close",
                format!("{left} deliveries were not settled in time"),
            )
        })
    }
}

#[async_trait]
impl Backend for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            multi_process: true,
            ordered: true,
            replay: true,
            seek: true,
            filters: true,
            patterns: true,
            delayed: true,
            durable_retry: true,
            durable_attempts: true,
            dead_letters: true,
            fenced: true,
            positions: true,
            exact_backlog: true,
            backlog_age: true,
            max_message_bytes: self.shared.config.max_message,
            ..Capabilities::none()
        }
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        publish::publish(&self.shared, messages).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        Ok(Box::new(
            SqliteFeed::join(Arc::clone(&self.shared), subscription).await?,
        ))
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        let place = backlog::find(&self.shared, "backlog", topic, name).await?;
        backlog::count(&self.shared, place).await
    }

    async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let place = backlog::find(&self.shared, "dead_letters", topic, name).await?;
        dead_letter::list(&self.shared, place, topic, name, limit).await
    }

    async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        let place = backlog::find(&self.shared, "redrive", topic, name).await?;
        dead_letter::redrive_all(&self.shared, place, limit, filter).await
    }

    async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        let place = backlog::find(&self.shared, "purge_dead_letters", topic, name).await?;
        let purged = self.shared.work(Purge { place }).await;
        purged.map_err(|fault| fault.into_error("purge_dead_letters"))
    }

    async fn topics(&self) -> Result<Vec<TopicName>, Error> {
        backlog::topics(&self.shared).await
    }

    async fn check(&self) -> Result<(), Error> {
        if self.shared.is_closed() {
            return Err(closed("check"));
        }
        self.shared.identity.check("check").await?;
        self.shared
            .work(Ping)
            .await
            .map_err(|fault| fault.into_error("check"))
    }

    async fn close(&self, within: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + within;
        let shared = &self.shared;
        shared.closing.store(true, Ordering::Release);
        for desk in shared.desks.all() {
            let unreceived = desk.close();
            shared.give_back(&desk, unreceived, || Verdict::Untouched);
        }
        let drained = self.drain(deadline).await;
        shared.closed.store(true, Ordering::Release);
        shared.room.close();
        for desk in shared.desks.all() {
            let left = desk.receipts();
            for receipt in &left {
                desk.let_go(*receipt);
            }
            shared.give_back(&desk, left, || Verdict::Again(Duration::ZERO));
        }
        // Readers first: the last connection to go folds the write-ahead log into the file.
        shared.readers.close().await;
        let (stopped, is_stopped) = oneshot::channel();
        if shared.ask(Job::Stop(stopped)).is_ok() {
            // The time left, and a little where there is none: what is queued is nearly written.
            let left = deadline
                .saturating_duration_since(Instant::now())
                .max(Duration::from_secs(5));
            timeout(left, is_stopped)
                .await
                .map_err(|_| {
                    Error::new(
                        ErrorKind::Timeout,
                        "close",
                        "the last writes were not done in time",
                    )
                })?
                .ok();
        }
        drained
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("path", &self.shared.config.path)
            .field("closed", &self.shared.is_closed())
            .finish_non_exhaustive()
    }
}
