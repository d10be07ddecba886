//! The typed event.

use std::ops::Deref;

use super::{Context, FromCall};
use crate::failure::Failure;

/// The consumed event: its data, validated against the contract and read into `E`. It is the first
/// argument of a handler and decides which events the handler gets.
///
/// Data that breaks the contract sends the event to the dead letters; the handler is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<E>(pub E);

impl<E> Deref for Event<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0
    }
}

impl<E: commerce_contracts::Event, S: Send + Sync> FromCall<S> for Event<E> {
    async fn from_call(context: &mut Context<S>) -> Result<Self, Failure> {
        let event = context.call().event().decode_with(&context.writers);
        event.map(Self).map_err(Failure::reject)
    }
}
