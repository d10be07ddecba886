//! What surrounds the event's data.

use std::ops::Deref;

use commerce_contracts::CloudEvent;

use super::{Context, FromCall};
use crate::call::Call;
use crate::failure::Failure;

/// The envelope's attributes (`metadata.event().id()`, …), the topic, the subscription and the
/// attempt: see [`Call`].
#[derive(Clone, Debug)]
pub struct Metadata(Call);

impl Deref for Metadata {
    type Target = Call;

    fn deref(&self) -> &Call {
        &self.0
    }
}

impl<S: Send + Sync> FromCall<S> for Metadata {
    async fn from_call(context: &mut Context<S>) -> Result<Self, Failure> {
        Ok(Self(context.call().clone()))
    }
}

/// The event as it arrived, for handlers that pass events on without reading them.
impl<S: Send + Sync> FromCall<S> for CloudEvent {
    async fn from_call(context: &mut Context<S>) -> Result<Self, Failure> {
        Ok(context.call().event().clone())
    }
}
