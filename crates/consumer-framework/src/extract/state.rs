//! What the consumer was given for its handlers.

use std::ops::Deref;

use super::{Context, FromCall};
use crate::failure::Failure;

/// A clone of the consumer's [state](crate::Consumer::state).
#[derive(Clone, Copy, Debug)]
pub struct State<S>(pub S);

impl<S> Deref for State<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: Clone + Send + Sync> FromCall<S> for State<S> {
    async fn from_call(context: &mut Context<S>) -> Result<Self, Failure> {
        Ok(Self(context.state().clone()))
    }
}
