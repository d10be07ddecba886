//! The binding to AMQP 1.0: binary and structured mode. AMQP has no batches.
//!
//! RabbitMQ's AMQP 0.9.1 is another protocol and has no official binding: see the [table](super) for what travels there.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::DateTime;

use super::{Mode, STRUCTURED_CONTENT_TYPE};
use crate::attribute::{Attribute, EnvelopeError, check_text, timestamp};
use crate::cloud_event::CloudEvent;
use crate::reading::{Found, Reading};

/// What the names of attributes begin with where they are written: that of CloudEvents 1.0.2.
pub const PREFIX: &str = "cloudEvents:";

/// What they may begin with where they are read: the next version of the binding prefers an underscore, because some clients
/// cannot write a colon.
pub const PREFIXES: [&str; 2] = [PREFIX, "cloudEvents_"];

/// The value of an application property, in the types of AMQP that attributes have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// `boolean`.
    Boolean(bool),
    /// `long`; give an `int`, a `short` or a `byte` as this, too.
    Long(i64),
    /// `timestamp`: milliseconds of the epoch.
    Timestamp(i64),
    /// `binary`.
    Binary(Bytes),
    /// `string`; give a `symbol` as this, too.
    String(String),
}

/// A message that is not on its way yet.
///
/// `Debug` shows the length of the body and never the body, which may be somebody's.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The property `content-type`.
    pub content_type: Option<String>,
    /// Names and values.
    pub application_properties: Vec<(String, Value)>,
    /// The data section. None where there is none: then the body is the `amqp-value` null.
    pub body: Option<Bytes>,
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("content_type", &self.content_type)
            .field("application_properties", &self.application_properties)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .finish()
    }
}

/// Attributes as application properties, the data as the body. The time is a `timestamp` where AMQP's milliseconds hold all
/// of it, and text where they do not.
pub fn to_binary(event: &CloudEvent) -> Result<Message, EnvelopeError> {
    super::ensure_not_nested(event)?;
    let mut properties: Vec<(String, Value)> = super::to_headers(event, PREFIX)
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)))
        .collect();
    for (name, value) in &mut properties {
        let name = name.strip_prefix(PREFIX).unwrap_or_default();
        match event.extension(name) {
            Some(Attribute::Boolean(native)) => *value = Value::Boolean(*native),
            Some(Attribute::Integer(native)) => *value = Value::Long((*native).into()),
            Some(Attribute::String(_)) | None => {}
        }
        if let Some(time) = event.time().filter(|_| name == "time") {
            let milliseconds = time.timestamp_millis();
            // Neither parts of a millisecond nor leap seconds fit.
            if DateTime::from_timestamp_millis(milliseconds) == Some(time) {
                *value = Value::Timestamp(milliseconds);
            }
        }
    }
    Ok(Message {
        content_type: event.data_content_type().map(str::to_owned),
        application_properties: properties,
        body: event.data().cloned(),
    })
}

/// The event as one JSON object.
pub fn to_structured(event: &CloudEvent) -> Message {
    Message {
        content_type: Some(STRUCTURED_CONTENT_TYPE.to_owned()),
        application_properties: Vec::new(),
        body: Some(event.to_json().into()),
    }
}

/// Reads an event in binary or structured mode. An attribute may come in its native type or in its canonical text.
pub fn read<'a>(
    content_type: Option<&str>,
    application_properties: impl IntoIterator<Item = (&'a str, &'a Value)>,
    body: Option<Bytes>,
) -> Result<CloudEvent, EnvelopeError> {
    let content_type = content_type.filter(|content_type| !content_type.is_empty());
    match Mode::of(content_type)? {
        Mode::Binary => {}
        Mode::Structured => return CloudEvent::from_json(&body.ok_or(EnvelopeError::NoBody)?),
        Mode::Batch => return Err(EnvelopeError::UnsupportedFormat),
    }
    if let Some(content_type) = content_type {
        check_text("datacontenttype", content_type)?;
    }
    let mut reading = Reading::default();
    for (property, value) in application_properties {
        let mut prefixes = PREFIXES.iter();
        if let Some(name) = prefixes.find_map(|prefix| property.strip_prefix(prefix)) {
            reading.take(name, found(name, value)?)?;
        }
    }
    reading.finish(content_type.map(str::to_owned), body)
}

fn found<'a>(name: &str, value: &'a Value) -> Result<Found<'a>, EnvelopeError> {
    Ok(match value {
        Value::Boolean(value) => Found::Boolean(*value),
        Value::Long(value) => Found::Integer(
            i32::try_from(*value)
                .map_err(|_| EnvelopeError::invalid(name, "is not a whole number of 32 bits"))?,
        ),
        Value::Timestamp(milliseconds) => {
            let time = DateTime::from_timestamp_millis(*milliseconds)
                .ok_or_else(|| EnvelopeError::invalid(name, "is a time that no calendar has"))?;
            Found::Text(timestamp(time).into())
        }
        Value::Binary(bytes) => Found::Text(STANDARD.encode(bytes).into()),
        Value::String(text) => Found::from(text.as_str()),
    })
}
