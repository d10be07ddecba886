//! Effects once: an event is marked as handled in the transaction that holds its effects.
//!
//! A mark belongs to one subscription, one source and one event id: the same event handled by two
//! consumers that share a database is handled twice, as it should be.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use commerce_event_bus::Message;

use crate::call::Call;
use crate::extract::Tx;
use crate::failure::Failure;
use crate::outbox;
use crate::storage::{Database, Error, Transaction};

/// How many marks are deleted at a time: each batch is a short transaction of its own.
const PURGE_BATCH: i64 = 1_000;

/// The transaction of one call: opened at most once, with the mark as its first row.
#[derive(Clone)]
pub(crate) struct Work {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    call: Call,
    slot: Mutex<Slot>,
    /// Held while the transaction is being opened, so that it is opened once.
    opening: tokio::sync::Mutex<()>,
}

enum Slot {
    Unopened,
    /// Opened, and not in the handler's hands.
    Here(Transaction),
    /// In the handler's hands.
    Away,
    /// Another delivery of the event has committed before.
    Duplicate,
}

impl Work {
    pub(crate) fn new(database: Database, call: Call) -> Self {
        Self {
            inner: Arc::new(Inner {
                database,
                call,
                slot: Mutex::new(Slot::Unopened),
                opening: tokio::sync::Mutex::new(()),
            }),
        }
    }

    /// Whether the event bears the mark already: a look without a lock, before anything is done.
    pub(crate) async fn is_marked(&self) -> Result<bool, Error> {
        let (database, call) = (&self.inner.database, &self.inner.call);
        let mark: Option<(String,)> = database
            .query(
                "SELECT event_id FROM inbox WHERE subscription = $1 AND source = $2 AND event_id = $3",
            )
            .bind(call.subscription().as_str())
            .bind(call.event().source())
            .bind(call.event().id())
            .fetch_optional()
            .await?;
        Ok(mark.is_some())
    }

    /// The transaction, for the handler.
    pub(crate) async fn open(&self) -> Result<Tx, Failure> {
        let transaction = self.take_or_begin().await?;
        Ok(Tx::new(transaction, self.clone()))
    }

    /// Called when the handler is done with the transaction.
    pub(crate) fn give_back(&self, transaction: Transaction) {
        *self.slot() = Slot::Here(transaction);
    }

    /// Stores the events and commits. The handler has succeeded.
    pub(crate) async fn commit(&self, messages: Vec<Message>) -> Result<(), Failure> {
        let mut transaction = self.take_or_begin().await?;
        // A handler may have swallowed the refusal.
        transaction.check()?;
        for message in &messages {
            outbox::append(&mut transaction, message).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn take_or_begin(&self) -> Result<Transaction, Failure> {
        let _opening = self.inner.opening.lock().await;
        if let Some(transaction) = self.take()? {
            return Ok(transaction);
        }
        let mut transaction = self.inner.database.begin().await?;
        let marked = mark(&mut transaction, &self.inner.call).await?;
        *self.slot() = if marked { Slot::Away } else { Slot::Duplicate };
        if marked {
            Ok(transaction)
        } else {
            Err(Failure::duplicate())
        }
    }

    fn take(&self) -> Result<Option<Transaction>, Failure> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Away) {
            Slot::Here(transaction) => Ok(Some(transaction)),
            Slot::Unopened => {
                *slot = Slot::Unopened;
                Ok(None)
            }
            Slot::Duplicate => {
                *slot = Slot::Duplicate;
                Err(Failure::duplicate())
            }
            Slot::Away => Err(Failure::retry(
                "the handler holds its transaction already: drop the first `Tx`",
            )),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // Nothing panics while the lock is held.
        self.inner
            .slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

/// Sets the mark; false when it was set before. Where another transaction is about to set it,
/// PostgreSQL waits here for that transaction's outcome, and SQLite waited at the begin.
async fn mark(transaction: &mut Transaction, call: &Call) -> Result<bool, Error> {
    let rows = transaction
        .query(
            "INSERT INTO inbox (subscription, source, event_id, handled_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .bind(call.subscription().as_str())
        .bind(call.event().source())
        .bind(call.event().id())
        .bind(Utc::now())
        .execute()
        .await?;
    Ok(rows == 1)
}

/// Forgets marks older than `retention`, again and again.
pub(crate) async fn keep_purging(database: Database, subscription: String, retention: Duration) {
    let pause = (retention / 8).clamp(Duration::from_secs(1), Duration::from_hours(1));
    loop {
        match purge(&database, &subscription, retention).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(subscription, rows, "old inbox entries deleted"),
            Err(error) => tracing::warn!(
                subscription,
                error = Failure::from(error).reason(),
                "old inbox entries could not be deleted; they stay until the next time"
            ),
        }
        tokio::time::sleep(pause).await;
    }
}

async fn purge(database: &Database, subscription: &str, retention: Duration) -> Result<u64, Error> {
    let oldest = chrono::Duration::from_std(retention)
        .ok()
        .and_then(|retention| Utc::now().checked_sub_signed(retention));
    // Longer than the calendar: nothing is ever too old.
    let Some(oldest) = oldest else { return Ok(0) };
    let mut deleted = 0;
    loop {
        let rows = database
            .query(
                "DELETE FROM inbox WHERE subscription = $1 AND (source, event_id) IN
                    (SELECT source, event_id FROM inbox
                     WHERE subscription = $1 AND handled_at < $2 LIMIT $3)",
            )
            .bind(subscription)
            .bind(oldest)
            .bind(PURGE_BATCH)
            .execute()
            .await?;
        deleted += rows;
        if rows < PURGE_BATCH.unsigned_abs() {
            return Ok(deleted);
        }
    }
}
