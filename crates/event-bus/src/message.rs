//! What is published and what comes back from publishing.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use commerce_contracts::{CloudEvent, Event};

use crate::error::{Error, ErrorKind};
use crate::headers::Headers;
use crate::name::TopicName;

/// An event and the topic that it belongs to. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// The topic that the event is published to, or was received from.
    pub topic: TopicName,
    /// The event. Its [key](CloudEvent::key) is the ordering key; an event without one has no order.
    pub event: CloudEvent,
    /// What travels beside the event.
    pub headers: Headers,
    /// When to deliver it at the earliest; before it is due it is as if it had not been published. `None` in a message that
    /// was received. For backends that claim [`delayed`](crate::Capabilities::delayed).
    pub deliver_at: Option<DateTime<Utc>>,
}

impl Message {
    /// An event for a topic.
    pub fn new(topic: TopicName, event: CloudEvent) -> Self {
        Self {
            topic,
            event,
            headers: Headers::new(),
            deliver_at: None,
        }
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

    /// Adds a header; see [`Headers::add`] for its rules.
    pub fn with_header(
        mut self,
        name: impl Into<String>,
        value: impl Into<Bytes>,
    ) -> Result<Self, Error> {
        self.headers.add(name, value)?;
        Ok(self)
    }

    /// Not to be delivered before this time. It takes its place in the order of its key when it is due.
    pub fn with_deliver_at(mut self, time: DateTime<Utc>) -> Self {
        self.deliver_at = Some(time);
        self
    }

    /// Not to be delivered before this much time has passed; a delay that no clock can count is the longest it can.
    pub fn with_delay(self, delay: Duration) -> Self {
        let now = Utc::now();
        let due = TimeDelta::from_std(delay)
            .ok()
            .and_then(|delay| now.checked_add_signed(delay));
        self.with_deliver_at(due.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    /// The same message on another topic.
    pub fn with_topic(mut self, topic: TopicName) -> Self {
        self.topic = topic;
        self
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

    /// What travels beside the event.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Refuses what comes back as another event: beside attributes in headers, data that is a whole event by its media type
    /// is taken for the event of the message.
    pub(crate) fn ensure_comes_back(&self) -> Result<(), Error> {
        const FAMILY: &str = "application/cloudevents";
        let media_type = self.event.data_content_type().unwrap_or_default().trim();
        let start = media_type.get(..FAMILY.len()).unwrap_or_default();
        if !start.eq_ignore_ascii_case(FAMILY) {
            return Ok(());
        }
        let problem = "the data is a CloudEvent by its media type, and would be taken for the event itself: give it another, such as application/json";
        Err(Error::new(ErrorKind::Message, "publish", problem))
    }

    /// What it weighs against bounds in bytes: its data, its headers and the texts of its event, without what a
    /// transport adds.
    pub fn size(&self) -> usize {
        let event = &self.event;
        let texts = [
            Some(event.id()),
            Some(event.source()),
            Some(event.event_type()),
            event.subject(),
            event.data_content_type(),
            event.data_schema(),
        ];
        let texts: usize = texts.into_iter().flatten().map(str::len).sum();
        let extensions: usize = event
            .extensions()
            .map(|(name, value)| name.len() + value.as_str().map_or(11, str::len))
            .sum();
        texts + extensions + event.data().map_or(0, Bytes::len) + self.headers.size()
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
    /// The ordering key exactly as it arrived, where the transport has keys.
    pub key: Option<Bytes>,
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
            key: None,
            payload,
            headers: Vec::new(),
        }
    }

    /// Adds the ordering key as it arrived.
    pub fn with_key(mut self, key: Option<Bytes>) -> Self {
        self.key = key;
        self
    }

    /// Adds the headers as they arrived.
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        self.headers.extend(headers);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_an_event_is_refused_where_it_is_published() {
        let of = |media_type: &str| {
            let event = CloudEvent::new("/test", "test.done.v1")
                .and_then(|event| event.with_data(media_type, "{}"))
                .unwrap();
            Message::new(TopicName::new("orders").unwrap(), event).ensure_comes_back()
        };
        for whole in [
            "application/cloudevents",
            "Application/CloudEvents+JSON; charset=UTF-8",
            "application/cloudevents-batch+json",
        ] {
            let error = of(whole).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Message, "{whole}");
            assert!(error.to_string().contains("application/json"), "{error}");
        }
        for data in ["application/json", "application/cloud", "text/plain"] {
            assert!(of(data).is_ok(), "{data}");
        }
    }
}
