//! The transaction that holds the handler's effects.

use std::ops::{Deref, DerefMut};

use super::{Context, FromCall};
use crate::failure::Failure;
use crate::inbox::Work;
use crate::storage::Transaction;

/// The delivery's transaction, already open. What the handler writes in it, the events it returns
/// and the mark that the event was handled are committed together, when the handler has succeeded.
///
/// Open means locked, on SQLite for every other writer: a handler that first asks another service
/// takes [`Begin`].
#[derive(Debug)]
pub struct Tx {
    /// Taken only by `drop`.
    transaction: Option<Transaction>,
    work: Work,
}

impl Tx {
    pub(crate) fn new(transaction: Transaction, work: Work) -> Self {
        Self {
            transaction: Some(transaction),
            work,
        }
    }
}

impl Deref for Tx {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        let transaction = self.transaction.as_ref();
        transaction.expect("the transaction is there until the value is dropped")
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Transaction {
        let transaction = self.transaction.as_mut();
        transaction.expect("the transaction is there until the value is dropped")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.work.give_back(transaction);
        }
    }
}

impl<S: Send + Sync> FromCall<S> for Tx {
    const NEEDS_INBOX: bool = true;

    async fn from_call(context: &mut Context<S>) -> Result<Self, Failure> {
        context.work()?.open().await
    }
}

/// The delivery's transaction, opened when the handler asks for it.
///
/// ```
/// # use commerce_consumer_framework::{Begin, Failure};
/// # async fn charge() -> Result<String, std::io::Error> { Ok("paid".into()) }
/// async fn pay(/* event: Event<PaymentRequested>, */ begin: Begin) -> Result<(), Failure> {
///     let charge = charge().await?; // slow: nothing is locked meanwhile
///     let mut tx = begin.transaction().await?;
///     tx.query("INSERT INTO charges (id) VALUES ($1)").bind(charge).execute().await?;
///     Ok(()) // committed by the framework
/// }
/// ```
#[derive(Debug)]
pub struct Begin {
    work: Work,
}

impl Begin {
    /// Opens the transaction. When the value is dropped the framework has it back; a second call then
    /// gives the same transaction again.
    ///
    /// # Errors
    /// Pass the failure on with `?`: it may say that another delivery of the same event got there
    /// first, and the event is then acknowledged without effects.
    pub async fn transaction(&self) -> Result<Tx, Failure> {
        self.work.open().await
    }
}

impl<S: Send + Sync> FromCall<S> for Begin {
    const NEEDS_INBOX: bool = true;

    async fn from_call(context: &mut Context<S>) -> Result<Self, Failure> {
        let work = context.work()?;
        Ok(Self { work })
    }
}
