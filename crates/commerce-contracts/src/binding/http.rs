//! The binding to HTTP: binary, structured and batch mode, for requests as for responses.
//!
//! HTTP does not tell no body from an empty one. What is written without data has no `content-type`, and what is read with
//! neither a body nor a `content-type` has no data.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

use super::{BATCH_CONTENT_TYPE, Message, Mode, STRUCTURED_CONTENT_TYPE};
use crate::attribute::{EnvelopeError, check_text};
use crate::cloud_event::CloudEvent;
use crate::reading::{Found, Reading};

/// What the names of attributes begin with.
pub const PREFIX: &str = "ce-";

const CONTENT_TYPE: &str = "content-type";

/// What is percent-encoded, besides all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Attributes as headers, the data as the body.
pub fn to_binary(event: &CloudEvent) -> Result<Message, EnvelopeError> {
    super::ensure_not_nested(event)?;
    let mut headers = super::to_headers(event, PREFIX);
    for (_, value) in &mut headers {
        // Borrowed does not mean unchanged: a single encoded character is borrowed as well.
        let encoded = Cow::from(utf8_percent_encode(value, ENCODED));
        if encoded != *value {
            *value = encoded.into_owned();
        }
    }
    if let (Some(content_type), Some(_)) = (event.data_content_type(), event.data()) {
        if !content_type
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte))
        {
            return Err(EnvelopeError::invalid(
                "datacontenttype",
                "has characters that no header of HTTP carries",
            ));
        }
        headers.push((CONTENT_TYPE.to_owned(), content_type.to_owned()));
    }
    Ok(Message {
        headers,
        body: event.data().cloned(),
    })
}

/// The event as one JSON object.
pub fn to_structured(event: &CloudEvent) -> Message {
    whole(STRUCTURED_CONTENT_TYPE, event.to_json())
}

/// Events as one JSON array.
pub fn to_batch<'a>(events: impl IntoIterator<Item = &'a CloudEvent>) -> Message {
    whole(BATCH_CONTENT_TYPE, CloudEvent::to_json_batch(events))
}

fn whole(content_type: &str, json: Vec<u8>) -> Message {
    Message {
        headers: vec![(CONTENT_TYPE.to_owned(), content_type.to_owned())],
        body: Some(json.into()),
    }
}

/// Reads one event, in binary or structured mode. A batch is an error: see [`read_all`].
///
/// Names may have any case. Values are decoded once: the quotes of a quoted string, then percent-encoding; a `%` that is not
/// followed by two hexadecimal digits is itself.
pub fn read<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: impl Into<Bytes>,
) -> Result<CloudEvent, EnvelopeError> {
    let (reading, content_type) = take(headers)?;
    match Mode::of(content_type)? {
        Mode::Binary => binary(reading, content_type, body.into()),
        Mode::Structured => CloudEvent::from_json(&body.into()),
        Mode::Batch => Err(EnvelopeError::UnsupportedFormat),
    }
}

/// Reads events in any mode; only a batch has more, or fewer, than one. The outer error is about the message; in a batch, one
/// event that cannot be read leaves the others as they are.
pub fn read_all<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: impl Into<Bytes>,
) -> Result<Vec<Result<CloudEvent, EnvelopeError>>, EnvelopeError> {
    let (reading, content_type) = take(headers)?;
    match Mode::of(content_type)? {
        Mode::Binary => binary(reading, content_type, body.into()).map(|event| vec![Ok(event)]),
        Mode::Structured => CloudEvent::from_json(&body.into()).map(|event| vec![Ok(event)]),
        Mode::Batch => CloudEvent::from_json_batch(&body.into()),
    }
}

fn binary(
    reading: Result<Reading<'_>, EnvelopeError>,
    content_type: Option<&str>,
    body: Bytes,
) -> Result<CloudEvent, EnvelopeError> {
    let data = (content_type.is_some() || !body.is_empty()).then_some(body);
    reading?.finish(content_type.map(str::to_owned), data)
}

/// The attributes and the media type. What is wrong with an attribute does not matter to structured mode, where headers only
/// repeat what the body says: the inner error is for binary mode.
type Taken<'a> = (Result<Reading<'a>, EnvelopeError>, Option<&'a str>);

fn take<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Taken<'a>, EnvelopeError> {
    let mut reading = Ok(Reading::default());
    let mut content_type = None;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(CONTENT_TYPE) {
            let said = media_type(value)?;
            if content_type.is_some_and(|known| known != said) {
                return Err(EnvelopeError::duplicate("datacontenttype"));
            }
            content_type = Some(said);
        } else if let Some(attribute) = super::after(name, PREFIX) {
            reading = reading.and_then(|reading| take_attribute(reading, attribute, value));
        }
    }
    Ok((reading, content_type.filter(|said| !said.is_empty())))
}

fn media_type(value: &[u8]) -> Result<&str, EnvelopeError> {
    let text = std::str::from_utf8(value)
        .map_err(|_| EnvelopeError::invalid("datacontenttype", "is not UTF-8"))?;
    check_text("datacontenttype", text)?;
    Ok(text.trim())
}

fn take_attribute<'a>(
    mut reading: Reading<'a>,
    name: &str,
    value: &'a [u8],
) -> Result<Reading<'a>, EnvelopeError> {
    let name = name.to_ascii_lowercase();
    if name == "datacontenttype" {
        return Err(EnvelopeError::invalid(
            &name,
            "has no header of its own in HTTP: it is content-type",
        ));
    }
    let text =
        decoded(value).ok_or_else(|| EnvelopeError::invalid(&name, "is not UTF-8 when decoded"))?;
    reading.take(&name, Found::Text(text))?;
    Ok(reading)
}

/// None when it is not UTF-8.
fn decoded(value: &[u8]) -> Option<Cow<'_, str>> {
    let value = value.trim_ascii();
    let Some(unquoted) = unquoted(value) else {
        return percent_decode(value).decode_utf8().ok();
    };
    let decoded = percent_decode(&unquoted).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

/// The content of a quoted string (RFC 9110, 5.6.4). None when it is not one from its beginning to its end.
fn unquoted(value: &[u8]) -> Option<Vec<u8>> {
    let quoted = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut content = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => content.push(*bytes.next()?),
            b'"' => return None,
            byte => content.push(*byte),
        }
    }
    Some(content)
}
