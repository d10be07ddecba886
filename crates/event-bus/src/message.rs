//! What is published and what comes back from publishing.

use bytes::Bytes;
use commerce_contracts::{CloudEvent, Event};

use crate::error::{Error, ErrorKind};
use crate::name::TopicName;

/// An event and the topic that it belongs to. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// The topic that the event is published to, or was received from.
    pub topic: TopicName,
    /// The event. Its [key](CloudEvent::key) is the ordering key; an event without one has no order.
    pub event: CloudEvent,
}

impl Message {
    /// An event for a topic.
    pub fn new(topic: TopicName, event: CloudEvent) -> Self {
        Self { topic, event }
    }

    /// The message of a typed event: its contract names the topic and the key.
    pub fn of<E: Event>(event: &E) -> Result<Self, Error> {
        let invalid = |source| {
            Error::new(
                ErrorKind::Message,
                "encode",
                format!("{} does not encode", E::TYPE),
            )
            .with_boxed_source(source)
        };
        let topic = TopicName::new(E::TOPIC).map_err(|error| invalid(error.into()))?;
        let event = event.event().map_err(|error| invalid(error.into()))?;
        Ok(Self::new(topic, event))
    }

    /// The topic.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The event.
    pub fn event(&self) -> &CloudEvent {
        &self.event
    }

    /// The ordering key.
    pub fn key(&self) -> Option<&str> {
        self.event.key()
    }
}

/// The backend has the message, as durably as it [claims](crate::Capabilities::durable).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Where the backend put it, in the backend's own words (a sequence number, `partition@offset`), where it says so.
    pub position: Option<String>,
}

impl Accepted {
    /// Accepted, at a position where the backend tells one.
    pub fn new(position: Option<String>) -> Self {
        Self { position }
    }
}

/// Bytes on a topic that are not an event. A [`Subscriber`](crate::Subscriber) sends them to the dead letters as they
/// are and never yields them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undecodable {
    /// What is wrong with them. Never the bytes themselves.
    pub reason: String,
    /// The payload exactly as it arrived; `None` when there was none.
    pub payload: Option<Bytes>,
    /// The headers exactly as they arrived, in order.
    pub headers: Vec<(String, Bytes)>,
}

impl Undecodable {
    /// Why, and the payload as it arrived.
    pub fn new(reason: impl Into<String>, payload: Option<Bytes>) -> Self {
        Self {
            reason: reason.into(),
            payload,
            headers: Vec::new(),
        }
    }

    /// Adds the headers as they arrived.
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        self.headers.extend(headers);
        self
    }
}
