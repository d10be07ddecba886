//! The binding to Kafka: binary and structured mode. Kafka has no batches.
//!
//! A null value is an event without data, a tombstone. Only binary mode can be one: structured mode without a value is no event.

use std::fmt;

use bytes::Bytes;

use super::{Mode, STRUCTURED_CONTENT_TYPE};
use crate::attribute::EnvelopeError;
use crate::cloud_event::CloudEvent;

/// What the names of attributes begin with.
pub const PREFIX: &str = "ce_";

const CONTENT_TYPE: &str = "content-type";

/// A record that is not on its way yet.
///
/// `Debug` shows the length of the value and never the value, which may be somebody's.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The event's `partitionkey`, which stays in the event as well. Whoever wants another one sets it here.
    pub key: Option<Bytes>,
    /// Names and values, `content-type` among them.
    pub headers: Vec<(String, String)>,
    /// None is null.
    pub value: Option<Bytes>,
}

impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Record")
            .field("key", &self.key)
            .field("headers", &self.headers)
            .field("value_bytes", &self.value.as_ref().map(Bytes::len))
            .finish()
    }
}

/// Attributes as headers, the data as the value.
pub fn to_binary(event: &CloudEvent) -> Result<Record, EnvelopeError> {
    super::ensure_not_nested(event)?;
    let mut headers = super::to_headers(event, PREFIX);
    if let Some(content_type) = event.data_content_type() {
        headers.push((CONTENT_TYPE.to_owned(), content_type.to_owned()));
    }
    Ok(Record {
        key: key(event),
        headers,
        value: event.data().cloned(),
    })
}

/// The event as one JSON object.
pub fn to_structured(event: &CloudEvent) -> Record {
    Record {
        key: key(event),
        headers: vec![(CONTENT_TYPE.to_owned(), STRUCTURED_CONTENT_TYPE.to_owned())],
        value: Some(event.to_json().into()),
    }
}

fn key(event: &CloudEvent) -> Option<Bytes> {
    let key = event.key()?;
    Some(Bytes::copy_from_slice(key.as_bytes()))
}

/// Reads an event in binary or structured mode. Headers may be null, as Kafka has them; an attribute may not.
pub fn read<'a>(
    headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    value: Option<Bytes>,
) -> Result<CloudEvent, EnvelopeError> {
    let mut attributes = Vec::new();
    let mut content_type = None;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(CONTENT_TYPE) {
            let text = text_of("datacontenttype", value)?;
            if content_type.is_some_and(|known| known != text) {
                return Err(EnvelopeError::duplicate("datacontenttype"));
            }
            content_type = Some(text);
        } else if let Some(attribute) = name.strip_prefix(PREFIX) {
            attributes.push((name, attribute, value));
        }
    }
    match Mode::of(content_type)? {
        Mode::Binary => {
            let texts = attributes.into_iter();
            let texts: Result<Vec<_>, EnvelopeError> = texts
                .map(|(name, attribute, value)| Ok((name, text_of(attribute, value)?)))
                .collect();
            super::from_headers(&[PREFIX], texts?.into_iter(), content_type, value)
        }
        // There, headers only repeat what the value says.
        Mode::Structured => CloudEvent::from_json(&value.ok_or(EnvelopeError::NoBody)?),
        Mode::Batch => Err(EnvelopeError::UnsupportedFormat),
    }
}

fn text_of<'a>(attribute: &str, value: Option<&'a [u8]>) -> Result<&'a str, EnvelopeError> {
    let value = value.ok_or_else(|| EnvelopeError::invalid(attribute, "is a null header"))?;
    std::str::from_utf8(value).map_err(|_| EnvelopeError::invalid(attribute, "is not UTF-8"))
}
