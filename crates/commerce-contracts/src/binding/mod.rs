//! Events in messages, without any transport: names, values and bytes go in, and the same come out.
//!
//! | transport | written | attributes | media type of the data | no data | also read |
//! |---|---|---|---|---|---|
//! | [`http`] | binary, structured, batch | `ce-` headers, percent-encoded | `Content-Type` | no body and no `Content-Type` | quoted strings, lower-case hex, names in any case |
//! | [`kafka`] | binary, structured | `ce_` headers in UTF-8 | header `content-type` | null value: a tombstone | |
//! | [`amqp`] (1.0) | binary, structured | `cloudEvents:` application properties, native types | property `content-type` | no data section | `cloudEvents_`, canonical text for native types |
//! | RabbitMQ (AMQP 0.9.1) | binary | `cloudEvents:` headers, long strings | property `content_type` | empty body and the header `commerce-no-data` | `cloudEvents_`, structured |
//! | SQS, SNS | structured | in the body | in the body | in the body | the envelope of SNS without raw delivery |
//!
//! The first three are bindings of CloudEvents 1.0.2. RabbitMQ has no official one: what is written there (by
//! `commerce-event-bus`, with [`to_headers`] and [`from_headers`]) are the names of AMQP 1.0 in the table of headers. Nor have
//! SQS and SNS: there the event is the body, as [`CloudEvent::to_json`] writes it, because SNS discards what has more than ten
//! attributes on its way to a queue; what `commerce-event-bus` adds as attributes are no attributes of the event.
//!
//! [`Mode::of`] tells from a media type which of the three ways a message carries its event.
//!
//! ```
//! use commerce_contracts::{CloudEvent, binding};
//!
//! # fn main() -> Result<(), commerce_contracts::EnvelopeError> {
//! let event = CloudEvent::new("/shop", "shop.greeted.v1")?.with_subject("Zoë")?;
//! let message = binding::http::to_binary(&event)?;
//! assert!(message.headers.contains(&("ce-subject".to_owned(), "Zo%C3%AB".to_owned())));
//!
//! let headers = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
//! assert_eq!(binding::http::read(headers, message.body.unwrap_or_default())?, event);
//! # Ok(())
//! # }
//! ```

use std::fmt;

use bytes::Bytes;

use crate::attribute::{EnvelopeError, check_text, essence, timestamp};
use crate::cloud_event::CloudEvent;
use crate::reading::{Found, Reading};

pub mod amqp;
pub mod http;
pub mod kafka;

/// The media type of an event in structured mode, as [`CloudEvent::to_json`] writes it.
pub const STRUCTURED_CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// The media type of a batch, as [`CloudEvent::to_json_batch`] writes it.
pub const BATCH_CONTENT_TYPE: &str = "application/cloudevents-batch+json; charset=UTF-8";

/// What the media types of whole events begin with, in whatever format.
const FAMILY: &str = "application/cloudevents";
const BATCH_FAMILY: &str = "application/cloudevents-batch";

/// How a message carries events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Attributes beside the data.
    Binary,
    /// One event in JSON.
    Structured,
    /// An array of events in JSON.
    Batch,
}

impl Mode {
    /// Told by the media type of the message, whatever its case and parameters. An error where the media type is that of
    /// events in another format than JSON.
    pub fn of(content_type: Option<&str>) -> Result<Self, EnvelopeError> {
        let essence = content_type.map(essence).unwrap_or_default();
        let Some(format) = after(essence, FAMILY) else {
            return Ok(Self::Binary);
        };
        let (mode, format) = match after(essence, BATCH_FAMILY) {
            Some(format) => (Self::Batch, format),
            None => (Self::Structured, format),
        };
        if format.is_empty() || format.eq_ignore_ascii_case("+json") {
            Ok(mode)
        } else {
            Err(EnvelopeError::UnsupportedFormat)
        }
    }
}

fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Whether a message of this media type is one event in structured mode (JSON), whatever the case and the parameters.
pub fn is_structured(content_type: &str) -> bool {
    Mode::of(Some(content_type)) == Ok(Mode::Structured)
}

/// A message that is not on its way yet: what its headers are to be, and its body.
///
/// `Debug` shows the length of the body and never the body, which may be somebody's.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Names and values, `content-type` among them.
    pub headers: Vec<(String, String)>,
    /// None where there is none.
    pub body: Option<Bytes>,
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .finish()
    }
}

/// Binary mode cannot carry data that is itself an event by its media type.
fn ensure_not_nested(event: &CloudEvent) -> Result<(), EnvelopeError> {
    if event.data_content_type().is_some_and(is_event) {
        return Err(EnvelopeError::Nested);
    }
    Ok(())
}

/// Whether the media type is that of whole events, in whatever format.
fn is_event(content_type: &str) -> bool {
    after(essence(content_type), FAMILY).is_some()
}

/// The headers of an event: every attribute but the media type of its data, which is the transport's own field. Values are
/// plain text: for HTTP there is [`http`].
pub fn to_headers(event: &CloudEvent, prefix: &str) -> Vec<(String, String)> {
    let mut headers = Vec::with_capacity(7 + event.extensions.len());
    let mut header = |name: &str, value: String| headers.push((format!("{prefix}{name}"), value));
    header("specversion", "1.0".to_owned());
    header("id", event.id.clone());
    header("source", event.source.clone());
    header("type", event.event_type.clone());
    if let Some(subject) = &event.subject {
        header("subject", subject.clone());
    }
    if let Some(time) = event.time {
        header("time", timestamp(time));
    }
    if let Some(schema) = &event.data_schema {
        header("dataschema", schema.clone());
    }
    for (name, value) in &event.extensions {
        header(name, value.to_string());
    }
    headers
}

/// Reads an event from headers that begin with one of the prefixes; other headers are not looked at.
///
/// `data` None is a message without data (on Kafka a null value, a tombstone); empty data is data.
/// Extensions come back as text, because a header does not say more.
pub fn from_headers<'a>(
    prefixes: &[&str],
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    content_type: Option<&str>,
    data: Option<Bytes>,
) -> Result<CloudEvent, EnvelopeError> {
    if content_type.is_some_and(is_event) {
        return Err(EnvelopeError::UnsupportedFormat);
    }
    let mut reading = Reading::default();
    for (header, value) in headers {
        if let Some(name) = prefixes
            .iter()
            .find_map(|prefix| header.strip_prefix(prefix))
        {
            reading.take(name, Found::from(value))?;
        }
    }
    let content_type = content_type.filter(|content_type| !content_type.is_empty());
    if let Some(content_type) = content_type {
        // The transport's field is an attribute like the others: JSON could not carry what breaks their rule.
        check_text("datacontenttype", content_type)?;
    }
    reading.finish(content_type.map(str::to_owned), data)
}
