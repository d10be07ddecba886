//! The events that a handler makes.

use commerce_contracts::{CloudEvent, Event};
use commerce_event_bus::{Message, TopicName};

use crate::call::Call;
use crate::failure::Failure;
use crate::trace;

/// The events that a handler makes. With an inbox they are stored in the handler's own transaction
/// and published by the [outbox relay](crate::outbox::Relay); without one they are published before
/// the consumed event is acknowledged.
///
/// Each gets what ties it to the consumed event, unless it has it already: the causation id, the
/// transaction id and the trace.
#[derive(Clone, Debug, Default)]
#[must_use = "events are made by returning them from the handler"]
pub struct Emit {
    messages: Vec<Message>,
}

impl Emit {
    /// No event.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// One event, to its contract's topic.
    pub fn event<E: Event>(event: &E) -> Result<Self, Failure> {
        Self::nothing().and(event)
    }

    /// Another event after these.
    pub fn and<E: Event>(mut self, event: &E) -> Result<Self, Failure> {
        // An event that cannot be written now cannot be written at the next attempt.
        let message = Message::of(event).map_err(Failure::reject)?;
        self.messages.push(message);
        Ok(self)
    }

    /// An event in its envelope, to any topic.
    pub fn to(topic: &str, event: CloudEvent) -> Result<Self, Failure> {
        Self::nothing().and_to(topic, event)
    }

    /// Another event in its envelope after these.
    pub fn and_to(mut self, topic: &str, event: CloudEvent) -> Result<Self, Failure> {
        let topic = TopicName::new(topic).map_err(Failure::reject)?;
        self.messages.push(Message::new(topic, event));
        Ok(self)
    }

    /// The messages, in order, tied to the event that caused them.
    pub(crate) fn caused_by(self, call: &Call) -> Result<Vec<Message>, Failure> {
        let caused = self.messages.into_iter().map(|message| tie(call, message));
        caused.collect()
    }
}

impl From<()> for Emit {
    fn from((): ()) -> Self {
        Self::nothing()
    }
}

fn tie(call: &Call, message: Message) -> Result<Message, Failure> {
    let consumed = call.event();
    let mut event = message.event;
    // An event that is passed on as it is did not cause itself.
    if event.causation_id().is_none() && event.id() != consumed.id() {
        event = event
            .with_causation_id(consumed.id())
            .map_err(Failure::reject)?;
    }
    if let (None, Some(id)) = (event.transaction_id(), consumed.transaction_id()) {
        event = event.with_transaction_id(id).map_err(Failure::reject)?;
    }
    Ok(Message::new(
        message.topic,
        trace::continue_from(consumed, event),
    ))
}
