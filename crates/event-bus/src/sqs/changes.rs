//! Deletions and changes of visibility on their way to SQS: whoever settles shares the next request.
//!
//! Changes of visibility are made one request after the other, so that a heartbeat never undoes what a handler asked for
//! after it. Deletions do not wait for them, nor much for each other.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::call::{incomplete, put, unanswered};
use super::fault::{Fault, insist};
use super::split::ENTRIES;
use super::topology::{Queue, Topology};
use crate::error::ErrorKind;

/// Deletions under way at the same time; what comes meanwhile shares the next request.
const DELETIONS: usize = 4;

type Answer = oneshot::Sender<Result<(), Fault>>;

/// What becomes of one received message.
struct Change {
    handle: String,
    /// Seconds until it is visible again; None deletes it.
    visible_in: Option<i32>,
    answer: Option<Answer>,
    _pending: Option<Pending>,
}

/// Counts itself until it is dropped.
struct Pending(Arc<AtomicUsize>);

impl Pending {
    fn one(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

enum Job {
    Change(Change),
    /// Answered when everything before it is done.
    Flush(oneshot::Sender<()>),
}

/// Sends changes of one queue's messages. It works on until the last handle is dropped and everything is sent.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    jobs: mpsc::UnboundedSender<Job>,
    /// Changes of visibility asked for and not answered.
    pending: Arc<AtomicUsize>,
}

impl Changes {
    // Unbounded, and bounded all the same: every message in flight has a change or two at most.
    pub(super) fn of(topology: Arc<Topology>, queue: Queue) -> Self {
        let (jobs, incoming) = mpsc::unbounded_channel();
        tokio::spawn(work(topology, queue, incoming));
        let pending = Arc::default();
        Self { jobs, pending }
    }

    pub(super) async fn delete(&self, handle: String) -> Result<(), Fault> {
        self.ask(handle, None).await
    }

    pub(super) async fn visible_in(&self, handle: String, seconds: i32) -> Result<(), Fault> {
        self.ask(handle, Some(seconds)).await
    }

    /// The same without waiting for the outcome: a message whose change is lost is visible again when its time is up.
    pub(super) fn make_visible(&self, handles: impl IntoIterator<Item = String>) {
        for handle in handles {
            self.put(handle, Some(0), None);
        }
    }

    /// Keeps a message invisible for so many seconds from now.
    pub(super) fn extend(
        &self,
        handle: String,
        seconds: i32,
    ) -> oneshot::Receiver<Result<(), Fault>> {
        let (answer, answered) = oneshot::channel();
        self.put(handle, Some(seconds), Some(answer));
        answered
    }

    /// Waits until messages that were given back are there, if there are any.
    pub(super) async fn settle_down(&self) {
        if self.pending.load(Ordering::Acquire) > 0 {
            self.flush().await;
        }
    }

    /// Waits until everything asked before is done.
    pub(super) async fn flush(&self) {
        let (answer, answered) = oneshot::channel();
        // A worker that is gone has nothing left to do.
        if self.jobs.send(Job::Flush(answer)).is_ok() {
            let _ = answered.await;
        }
    }

    async fn ask(&self, handle: String, visible_in: Option<i32>) -> Result<(), Fault> {
        let (answer, answered) = oneshot::channel();
        self.put(handle, visible_in, Some(answer));
        let gone = |_| Err(Fault::new(ErrorKind::Closed, "the program is about to end"));
        answered.await.unwrap_or_else(gone)
    }

    fn put(&self, handle: String, visible_in: Option<i32>, answer: Option<Answer>) {
        let change = Change {
            handle,
            visible_in,
            answer,
            _pending: visible_in.map(|_| Pending::one(&self.pending)),
        };
        // It fails when the runtime ends; whoever waits for the answer learns of it.
        let _ = self.jobs.send(Job::Change(change));
    }
}

async fn work(topology: Arc<Topology>, queue: Queue, mut incoming: mpsc::UnboundedReceiver<Job>) {
    let (mut deletions, mut visibility) = (JoinSet::new(), JoinSet::new());
    let (mut delete, mut show): (Vec<Change>, Vec<Change>) = (Vec::new(), Vec::new());
    let mut open = true;
    loop {
        if !delete.is_empty() && deletions.len() < DELETIONS {
            let batch = delete.drain(..delete.len().min(ENTRIES)).collect();
            deletions.spawn(apply(Arc::clone(&topology), queue.clone(), batch, true));
            continue;
        }
        if !show.is_empty() && visibility.is_empty() {
            let batch = show.drain(..distinct(&show)).collect();
            visibility.spawn(apply(Arc::clone(&topology), queue.clone(), batch, false));
            continue;
        }
        if !open && deletions.is_empty() && visibility.is_empty() {
            return;
        }
        tokio::select! {
            job = incoming.recv(), if open => match job {
                Some(Job::Change(change)) if change.visible_in.is_none() => delete.push(change),
                Some(Job::Change(change)) => show.push(change),
                Some(Job::Flush(answer)) => {
                    finish(&topology, &queue, &mut delete, &mut show, &mut deletions, &mut visibility).await;
                    // Nobody may wait any more.
                    let _ = answer.send(());
                }
                None => open = false,
            },
            Some(_) = deletions.join_next() => {}
            Some(_) = visibility.join_next() => {}
        }
    }
}

async fn finish(
    topology: &Arc<Topology>,
    queue: &Queue,
    delete: &mut Vec<Change>,
    show: &mut Vec<Change>,
    deletions: &mut JoinSet<()>,
    visibility: &mut JoinSet<()>,
) {
    while visibility.join_next().await.is_some() {}
    while !show.is_empty() {
        let batch = show.drain(..distinct(show)).collect();
        apply(Arc::clone(topology), queue.clone(), batch, false).await;
    }
    while !delete.is_empty() {
        let batch = delete.drain(..delete.len().min(ENTRIES)).collect();
        apply(Arc::clone(topology), queue.clone(), batch, true).await;
    }
    while deletions.join_next().await.is_some() {}
}

/// How many from the front make one batch: in one request the order of two changes of one message is anybody's guess.
fn distinct(changes: &[Change]) -> usize {
    let mut seen = HashSet::new();
    let fresh = changes
        .iter()
        .take(ENTRIES)
        .take_while(|it| seen.insert(it.handle.as_str()));
    fresh.count()
}

async fn apply(topology: Arc<Topology>, queue: Queue, batch: Vec<Change>, delete: bool) {
    let deadline = Instant::now() + topology.config.request_timeout;
    // Both do the same when they are made twice.
    let answer = insist(deadline, || async {
        if delete {
            request_deletion(&topology, &queue, &batch).await
        } else {
            request_visibility(&topology, &queue, &batch).await
        }
    });
    let results = match answer.await {
        Ok(results) => results,
        Err(fault) => {
            tracing::debug!(?fault, queue = queue.url, "messages could not be settled");
            batch.iter().map(|_| Err(fault.clone())).collect()
        }
    };
    for (change, result) in batch.into_iter().zip(results) {
        if let Some(answer) = change.answer {
            // Whoever asked may have been cancelled.
            let _ = answer.send(result);
        }
    }
}

async fn request_deletion(
    topology: &Topology,
    queue: &Queue,
    batch: &[Change],
) -> Result<Vec<Result<(), Fault>>, Fault> {
    let entries = batch.iter().enumerate().map(|(at, change)| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string());
        entry
            .receipt_handle(&change.handle)
            .build()
            .map_err(|error| incomplete(&error))
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let request = topology.sqs.delete_message_batch().queue_url(&queue.url);
    let answer = request.set_entries(Some(entries)).send().await?;
    let mut results = unanswered(batch.len());
    for entry in answer.successful() {
        put(&mut results, entry.id(), Ok(()));
    }
    for entry in answer.failed() {
        put(&mut results, entry.id(), Err(Fault::of_sqs_entry(entry)));
    }
    Ok(results)
}

async fn request_visibility(
    topology: &Topology,
    queue: &Queue,
    batch: &[Change],
) -> Result<Vec<Result<(), Fault>>, Fault> {
    let entries = batch.iter().enumerate().map(|(at, change)| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(at.to_string());
        let entry = entry.receipt_handle(&change.handle);
        let entry = entry.visibility_timeout(change.visible_in.unwrap_or_default());
        entry.build().map_err(|error| incomplete(&error))
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let request = topology
        .sqs
        .change_message_visibility_batch()
        .queue_url(&queue.url);
    let answer = request.set_entries(Some(entries)).send().await?;
    let mut results = unanswered(batch.len());
    for entry in answer.successful() {
        put(&mut results, entry.id(), Ok(()));
    }
    for entry in answer.failed() {
        put(&mut results, entry.id(), Err(Fault::of_sqs_entry(entry)));
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_is_changed_once_in_a_request() {
        let change = |handle: &str| Change {
            handle: handle.to_owned(),
            visible_in: Some(0),
            answer: None,
            _pending: None,
        };
        let row: Vec<Change> = ["a", "b", "a", "c"].into_iter().map(change).collect();
        assert_eq!(distinct(&row), 2);
        assert_eq!(distinct(&row[2..]), 2);
        let many: Vec<Change> = (0..25).map(|n| change(&n.to_string())).collect();
        assert_eq!(distinct(&many), ENTRIES);
    }
}
