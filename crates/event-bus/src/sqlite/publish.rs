//! Publishing: one insert for all messages that share a commit.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::clock::Millis;
use super::codec::Row;
use super::fault::Fault;
use super::writer::{self, Reply, Touched};
use super::{Shared, schedule};
use crate::error::{Error, ErrorKind, PublishError, PublishErrorKind};
use crate::message::{Accepted, Message};
use crate::name::TopicName;

/// Rows of one insert: seven values each, and SQLite takes 32,766.
const ROWS: usize = 1000;
/// What waits for the writer at most, in KiB.
const QUEUE_KIB: u32 = 32 * 1024;

/// Messages to append.
pub(super) struct Job {
    pub(super) rows: Vec<(TopicName, Row)>,
    /// The position of each, where it is in the log already.
    pub(super) reply: Reply<Vec<Option<i64>>>,
    _room: OwnedSemaphorePermit,
}

impl Job {
    pub(super) fn new(
        rows: Vec<(TopicName, Row)>,
        reply: Reply<Vec<Option<i64>>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            rows,
            reply,
            _room: room,
        }
    }
}

/// The room in front of the writer.
pub(super) fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(QUEUE_KIB as usize))
}

/// Publishes in order. What follows messages that failed is not tried: it would come before them.
pub(super) async fn publish(
    shared: &Shared,
    messages: Vec<Message>,
) -> Vec<Result<Accepted, PublishError>> {
    let deadline = Instant::now() + shared.config.publish_timeout;
    let mut results = Vec::with_capacity(messages.len());
    let mut chunk = Chunk::default();
    let mut refusal = None;
    for message in messages {
        let row = match encode(shared, &message) {
            Ok(row) => row,
            // It could not be accepted later either, so nothing waits for it. Those before it come first.
            Err(error) => {
                chunk
                    .store(shared, deadline, &mut refusal, &mut results)
                    .await;
                results.push(Err(PublishError::failed(message, error)));
                continue;
            }
        };
        if !chunk.takes(&row) {
            chunk
                .store(shared, deadline, &mut refusal, &mut results)
                .await;
        }
        chunk.add(message, row);
    }
    chunk
        .store(shared, deadline, &mut refusal, &mut results)
        .await;
    results
}

fn encode(shared: &Shared, message: &Message) -> Result<Row, Error> {
    let (size, most) = (message.size(), shared.config.max_message);
    if size > most {
        let problem = format!("the message is {size} bytes, and {most} are allowed (max_message)");
        return Err(Error::new(ErrorKind::Message, "publish", problem));
    }
    Row::encode(message)
}

/// Messages that go to the writer together.
#[derive(Default)]
struct Chunk {
    messages: Vec<Message>,
    rows: Vec<(TopicName, Row)>,
    kib: u32,
}

impl Chunk {
    fn takes(&self, row: &Row) -> bool {
        self.rows.len() < ROWS && self.kib + kib(row) <= QUEUE_KIB
    }

    fn add(&mut self, message: Message, row: Row) {
        // A single message larger than the queue passes through it alone.
        self.kib = (self.kib + kib(&row)).min(QUEUE_KIB);
        self.rows.push((message.topic.clone(), row));
        self.messages.push(message);
    }

    /// Stores the messages, unless some before them were refused, and leaves the chunk empty.
    async fn store(
        &mut self,
        shared: &Shared,
        deadline: Instant,
        refusal: &mut Option<Refusal>,
        results: &mut Vec<Result<Accepted, PublishError>>,
    ) {
        let chunk = std::mem::take(self);
        if chunk.rows.is_empty() {
            return;
        }
        if let Some(refusal) = refusal {
            results.extend(
                chunk
                    .messages
                    .into_iter()
                    .map(|message| Err(refusal.not_tried(message))),
            );
            return;
        }
        match write(shared, chunk.rows, chunk.kib, deadline).await {
            Ok(sequences) => results.extend(
                sequences
                    .iter()
                    .map(|n| Ok(Accepted::new(n.map(|n| n.to_string())))),
            ),
            Err(refused) => {
                results.extend(
                    chunk
                        .messages
                        .into_iter()
                        .map(|message| Err(refused.give_back(message))),
                );
                *refusal = Some(refused);
            }
        }
    }
}

fn kib(row: &Row) -> u32 {
    u32::try_from(row.size() / 1024 + 1)
        .unwrap_or(u32::MAX)
        .min(QUEUE_KIB)
}

/// Why messages were not accepted.
enum Refusal {
    Fault(Fault),
    /// The queue in front of the writer stayed full.
    NoRoom,
    /// The writer did not answer in time.
    NoAnswer,
}

impl Refusal {
    fn error(&self) -> Error {
        match self {
            Self::Fault(fault) => fault.clone().into_error("publish"),
            Self::NoRoom => Error::new(
                ErrorKind::Timeout,
                "publish",
                "the queue of the bus file stayed full",
            ),
            Self::NoAnswer => Error::new(
                ErrorKind::Timeout,
                "publish",
                "the bus file took too long to write",
            ),
        }
    }

    fn kind(&self) -> PublishErrorKind {
        match self {
            Self::Fault(Fault::MaybeWritten(_)) | Self::NoAnswer => PublishErrorKind::Unknown,
            Self::Fault(Fault::NotWritten(_) | Fault::Closed) | Self::NoRoom => {
                PublishErrorKind::Failed
            }
        }
    }

    fn give_back(&self, message: Message) -> PublishError {
        match self.kind() {
            PublishErrorKind::Unknown => PublishError::unknown(message, self.error()),
            PublishErrorKind::Failed => PublishError::failed(message, self.error()),
        }
    }

    fn not_tried(&self, message: Message) -> PublishError {
        PublishError::failed(message, self.error())
    }
}

async fn write(
    shared: &Shared,
    rows: Vec<(TopicName, Row)>,
    kib: u32,
    deadline: Instant,
) -> Result<Vec<Option<i64>>, Refusal> {
    let room = timeout_at(deadline, Arc::clone(&shared.room).acquire_many_owned(kib)).await;
    let room = room.map_err(|_| Refusal::NoRoom)?;
    let room = room.map_err(|_| Refusal::Fault(Fault::Closed))?;
    let (reply, answer) = oneshot::channel();
    shared
        .ask(writer::Job::Publish(Job::new(rows, reply, room)))
        .map_err(Refusal::Fault)?;
    match timeout_at(deadline, answer).await {
        Err(_) => Err(Refusal::NoAnswer),
        Ok(Err(_)) => Err(Refusal::Fault(Fault::Closed)),
        Ok(Ok(answer)) => answer.map_err(Refusal::Fault),
    }
}

/// Appends the messages of all jobs, or schedules those that are not due; gives the sequence numbers of each.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    topics: &mut HashMap<TopicName, i64>,
    jobs: &[Job],
    now: Millis,
    touched: &mut Touched,
) -> Result<Vec<Vec<Option<i64>>>, sqlx::Error> {
    let mut rows = Vec::new();
    let mut later = Vec::new();
    let is_due = |row: &Row| row.due.is_none_or(|due| due <= now);
    for (topic, row) in jobs.iter().flat_map(|job| &job.rows) {
        let topic = topic_id(connection, topics, topic).await?;
        if is_due(row) {
            touched.topics.insert(topic);
            rows.push((topic, row));
        } else {
            touched.scheduled = true;
            later.push((topic, row));
        }
    }
    let mut sequences = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(ROWS) {
        let last = insert(connection, chunk, now).await?;
        let count = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        // One statement of the only writer: its rows are numbered one after the other.
        sequences.extend(last - count + 1..=last);
    }
    for chunk in later.chunks(ROWS) {
        schedule::insert(connection, chunk).await?;
    }
    let mut sequences = sequences.into_iter();
    Ok(jobs
        .iter()
        .map(|job| {
            job.rows
                .iter()
                .map(|(_, row)| is_due(row).then(|| sequences.next()).flatten())
                .collect()
        })
        .collect())
}

async fn insert(
    connection: &mut SqliteConnection,
    rows: &[(i64, &Row)],
    now: Millis,
) -> Result<i64, sqlx::Error> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO message (topic_id, message_key, published_at, attributes, content_type, data, headers) ",
    );
    insert.push_values(rows, |mut values, (topic, row)| {
        values
            .push_bind(*topic)
            .push_bind(row.key.as_deref())
            .push_bind(now)
            .push_bind(row.attributes.as_str())
            .push_bind(row.content_type.as_deref())
            .push_bind(row.data.as_deref())
            .push_bind(row.headers.as_deref());
    });
    // One text per number of rows: only the shortest is worth a place in the statement cache.
    let cached = rows.len() == 1;
    let done = insert
        .build()
        .persistent(cached)
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid())
}

/// The number of a topic, which is made when it is new.
pub(super) async fn topic_id(
    connection: &mut SqliteConnection,
    topics: &mut HashMap<TopicName, i64>,
    topic: &TopicName,
) -> Result<i64, sqlx::Error> {
    if let Some(id) = topics.get(topic) {
        return Ok(*id);
    }
    let id = make_topic(connection, topic).await?;
    topics.insert(topic.clone(), id);
    Ok(id)
}

pub(super) async fn make_topic(
    connection: &mut SqliteConnection,
    topic: &TopicName,
) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT INTO topic (name) VALUES (?1) ON CONFLICT DO NOTHING")
        .bind(topic.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar("SELECT id FROM topic WHERE name = ?1")
        .bind(topic.as_str())
        .fetch_one(connection)
        .await
}
