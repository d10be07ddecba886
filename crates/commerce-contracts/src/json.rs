//! Structured mode: an event as one JSON object, several as an array (CloudEvents JSON format 1.0.2).

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::attribute::{self, Attribute, EnvelopeError};
use crate::cloud_event::CloudEvent;
use crate::reading::{Found, Reading};

/// Written with padding; read with or without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl CloudEvent {
    /// The event as one JSON object. Data that is JSON by its media type stays JSON, byte for byte; other text becomes a
    /// JSON string; everything else becomes `data_base64`.
    #[expect(
        clippy::missing_panics_doc,
        reason = "it does not panic: see the expectation"
    )]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&Structured(self)).expect("keys are text, values are text, numbers, booleans or checked JSON, and a Vec takes all bytes")
    }

    /// Reads an event from one JSON object.
    ///
    /// Liberal where the meaning is clear: unknown extensions are kept, a null or empty optional attribute counts as unset,
    /// base64 padding may be missing, the source may be any text. Without `datacontenttype`, `data` is `application/json`.
    pub fn from_json(json: &[u8]) -> Result<Self, EnvelopeError> {
        read(text_of(json)?)
    }

    /// Several events as one JSON array, a batch: see [`binding::BATCH_CONTENT_TYPE`](crate::binding::BATCH_CONTENT_TYPE).
    pub fn to_json_batch<'a>(events: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        let mut json = vec![b'['];
        for event in events {
            if json.len() > 1 {
                json.push(b',');
            }
            json.append(&mut event.to_json());
        }
        json.push(b']');
        json
    }

    /// Reads a batch. The outer error is about the array; one event that cannot be read leaves the others as they are. An
    /// empty batch is a batch.
    pub fn from_json_batch(json: &[u8]) -> Result<Vec<Result<Self, EnvelopeError>>, EnvelopeError> {
        let events: Vec<&RawValue> =
            serde_json::from_str(text_of(json)?).map_err(|error| malformed(&error, "an array"))?;
        Ok(events.into_iter().map(|event| read(event.get())).collect())
    }
}

fn text_of(json: &[u8]) -> Result<&str, EnvelopeError> {
    std::str::from_utf8(json).map_err(|error| EnvelopeError::Malformed {
        detail: format!("byte {} is not UTF-8", error.valid_up_to()),
    })
}

fn read(json: &str) -> Result<CloudEvent, EnvelopeError> {
    let mut members = Members::default();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let parsed = (&mut members)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    match (members.refused, parsed) {
        (Some(error), _) => return Err(error),
        (None, Err(error)) => return Err(malformed(&error, "an object")),
        (None, Ok(())) => {}
    }
    let reading = members.reading;
    match (members.data, members.data_base64) {
        (Some(_), Some(_)) => Err(EnvelopeError::DataTwice),
        (None, None) => reading.finish(None, None),
        (None, Some(text)) => {
            let data = read_base64(text)?;
            reading.finish(None, Some(data))
        }
        (Some(json), None) => {
            let content_type = reading
                .data_content_type()
                .unwrap_or("application/json")
                .to_owned();
            let data = read_data(&content_type, json)?;
            reading.finish(Some(content_type), Some(data))
        }
    }
}

/// The members of the object, taken one by one as the parser comes to them. Data stays as it is written until its media type
/// is known, which may come after it.
#[derive(Default)]
struct Members<'a> {
    reading: Reading<'a>,
    data: Option<&'a RawValue>,
    data_base64: Option<&'a RawValue>,
    /// Why the parser was stopped, when it was not its own error.
    refused: Option<EnvelopeError>,
}

impl<'a> Members<'a> {
    fn take(&mut self, name: &str, value: &'a RawValue) -> Result<(), EnvelopeError> {
        let seen = match name {
            "data" => self.data.replace(value).is_some(),
            // Unlike `data`, where null is a value, there is no null in base64.
            "data_base64" if value.get() == "null" => false,
            "data_base64" => self.data_base64.replace(value).is_some(),
            _ => {
                return match read_attribute(name, value.get())? {
                    Some(found) => self.reading.take(name, found),
                    None => Ok(()),
                };
            }
        };
        if seen {
            return Err(EnvelopeError::duplicate(name));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for &mut Members<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Members<'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((Name(name), value)) = map.next_entry::<_, &'de RawValue>()? {
            if let Err(error) = self.take(&name, value) {
                self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// The parser's message for broken syntax holds no values; the one for a wrong type does, so it is replaced.
fn malformed(error: &serde_json::Error, expected: &str) -> EnvelopeError {
    let detail = if error.is_data() {
        format!("it is not {expected}")
    } else {
        error.to_string()
    };
    EnvelopeError::Malformed { detail }
}

/// None when the attribute is null, which means unset.
fn read_attribute<'a>(name: &str, json: &'a str) -> Result<Option<Found<'a>>, EnvelopeError> {
    let invalid =
        || EnvelopeError::invalid(name, "is not text, a boolean or a whole number of 32 bits");
    Ok(Some(match json {
        "null" => return Ok(None),
        "true" => Found::Boolean(true),
        "false" => Found::Boolean(false),
        text if text.starts_with('"') => Found::Text(read_text(text).ok_or_else(invalid)?),
        // What is neither is an array, an object, or a number with more than an integer's digits.
        number => Found::Integer(number.parse().map_err(|_| invalid())?),
    }))
}

/// The content of a JSON string; None when an escape is of a character that Unicode does not have.
fn read_text(json: &str) -> Option<Cow<'_, str>> {
    match json.get(1..json.len() - 1) {
        // The parser has gone over it: without escapes it says what it is.
        Some(text) if !text.contains('\\') => Some(Cow::Borrowed(text)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

fn read_base64(value: &RawValue) -> Result<Bytes, EnvelopeError> {
    let invalid = || EnvelopeError::invalid("data_base64", "is not text in base64 (RFC 4648)");
    let is_text = value.get().starts_with('"');
    let text = is_text.then(|| read_text(value.get())).flatten();
    let data = BASE64.decode(&*text.ok_or_else(invalid)?);
    data.map(Bytes::from).map_err(|_| invalid())
}

/// JSON data is kept as it is written; other data is the content of a JSON string.
fn read_data(content_type: &str, value: &RawValue) -> Result<Bytes, EnvelopeError> {
    if attribute::is_json(content_type) || !value.get().starts_with('"') {
        return Ok(Bytes::copy_from_slice(value.get().as_bytes()));
    }
    match read_text(value.get()) {
        Some(text) => Ok(Bytes::from(text.into_owned())),
        None => Err(EnvelopeError::invalid(
            "data",
            "is a string with characters that Unicode does not have",
        )),
    }
}

struct Structured<'a>(&'a CloudEvent);

impl Serialize for Structured<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", &event.id)?;
        map.serialize_entry("source", &event.source)?;
        map.serialize_entry("type", &event.event_type)?;
        let time = event.time.map(attribute::timestamp);
        let optional = [
            ("subject", &event.subject),
            ("time", &time),
            ("datacontenttype", &event.data_content_type),
            ("dataschema", &event.data_schema),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in &event.extensions {
            match value {
                Attribute::Boolean(value) => map.serialize_entry(name, value)?,
                Attribute::Integer(value) => map.serialize_entry(name, value)?,
                Attribute::String(value) => map.serialize_entry(name, value)?,
            }
        }
        if let Some(data) = &event.data {
            match written(event.data_content_type.as_deref(), data) {
                Written::Json(json) => map.serialize_entry("data", json)?,
                Written::Text(text) => map.serialize_entry("data", text)?,
                Written::Binary => map.serialize_entry("data_base64", &BASE64.encode(data))?,
            }
        }
        map.end()
    }
}

enum Written<'a> {
    Json(&'a RawValue),
    Text(&'a str),
    Binary,
}

/// How data is written so that it is read back byte for byte.
fn written<'a>(content_type: Option<&str>, data: &'a [u8]) -> Written<'a> {
    let Some(content_type) = content_type else {
        return Written::Binary;
    };
    if attribute::is_json(content_type) {
        return match serde_json::from_slice::<&RawValue>(data) {
            // Space around the value would be lost.
            Ok(json) if json.get().len() == data.len() => Written::Json(json),
            _ => Written::Binary,
        };
    }
    std::str::from_utf8(data).map_or(Written::Binary, Written::Text)
}
