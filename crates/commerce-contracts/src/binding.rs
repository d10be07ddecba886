//! Binary mode: attributes travel as headers beside the data.
//!
//! Kafka's headers begin with `ce_`, AMQP's with `cloudEvents:` (and `cloudEvents_` is also read). Values are plain UTF-8 text:
//! HTTP, which needs percent-encoding, is not one of these. The media type of the data is the transport's own field.

use bytes::Bytes;

use crate::attribute::{Attribute, EnvelopeError, check_text, essence, timestamp};
use crate::cloud_event::CloudEvent;
use crate::reading::Reading;

/// The media type of an event in structured mode, as [`CloudEvent::to_json`] writes it.
pub const STRUCTURED_CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// Whether a message of this media type is one event in structured mode (JSON), whatever the case and the parameters.
pub fn is_structured(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence.eq_ignore_ascii_case("application/cloudevents+json")
        || essence.eq_ignore_ascii_case("application/cloudevents")
}

/// The headers of an event: every attribute but the media type of its data, which is the transport's own field.
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
    if content_type.is_some_and(is_other_format) {
        return Err(EnvelopeError::UnsupportedFormat);
    }
    let mut reading = Reading::default();
    for (header, value) in headers {
        if let Some(name) = prefixes
            .iter()
            .find_map(|prefix| header.strip_prefix(prefix))
        {
            reading.take(name, Attribute::String(value.to_owned()))?;
        }
    }
    let content_type = content_type.filter(|content_type| !content_type.is_empty());
    if let Some(content_type) = content_type {
        // The transport's field is an attribute like the others: JSON could not carry what breaks their rule.
        check_text("datacontenttype", content_type)?;
    }
    reading.finish(content_type.map(str::to_owned), data)
}

/// A whole event, or a batch of them, which headers do not describe.
fn is_other_format(content_type: &str) -> bool {
    const FAMILY: &str = "application/cloudevents";
    essence(content_type)
        .get(..FAMILY.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(FAMILY))
}
