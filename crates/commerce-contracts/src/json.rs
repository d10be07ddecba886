//! Structured mode: an event as one JSON object (CloudEvents JSON format 1.0.2).

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::attribute::{self, Attribute, EnvelopeError};
use crate::cloud_event::CloudEvent;
use crate::reading::Reading;

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
        let members: Members<'_> =
            serde_json::from_slice(json).map_err(|error| malformed(&error))?;
        let (mut reading, mut data, mut data_base64) = (Reading::default(), None, None);
        for (name, value) in members.0 {
            let seen = match name.as_str() {
                "data" => data.replace(value).is_some(),
                // Unlike `data`, where null is a value, there is no null in base64.
                "data_base64" if value.get() == "null" => false,
                "data_base64" => data_base64.replace(value).is_some(),
                _ => {
                    if let Some(attribute) = read_attribute(&name, value)? {
                        reading.take(&name, attribute)?;
                    }
                    false
                }
            };
            if seen {
                return Err(EnvelopeError::Duplicate { attribute: name });
            }
        }
        match (data, data_base64) {
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
}

/// The members of the object in their order, values unread.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The parser's message for broken syntax holds no values; the one for a wrong type does, so it is replaced.
fn malformed(error: &serde_json::Error) -> EnvelopeError {
    let detail = if error.is_data() {
        "it is not an object".to_owned()
    } else {
        error.to_string()
    };
    EnvelopeError::Malformed { detail }
}

/// None when the attribute is null, which means unset.
fn read_attribute(name: &str, value: &RawValue) -> Result<Option<Attribute>, EnvelopeError> {
    const RULE: &str = "is not text, a boolean or a whole number of 32 bits";
    let invalid = || EnvelopeError::invalid(name, RULE);
    match serde_json::from_str(value.get()).map_err(|_| invalid())? {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(Attribute::Boolean(value))),
        Value::String(text) => Ok(Some(Attribute::String(text))),
        Value::Number(number) => {
            let number = number
                .as_i64()
                .and_then(|number| i32::try_from(number).ok())
                .ok_or_else(invalid)?;
            Ok(Some(Attribute::Integer(number)))
        }
        Value::Array(_) | Value::Object(_) => Err(invalid()),
    }
}

fn read_base64(value: &RawValue) -> Result<Bytes, EnvelopeError> {
    let invalid = || EnvelopeError::invalid("data_base64", "is not text in base64 (RFC 4648)");
    let text: String = serde_json::from_str(value.get()).map_err(|_| invalid())?;
    BASE64.decode(text).map(Bytes::from).map_err(|_| invalid())
}

/// JSON data is kept as it is written; other data is the content of a JSON string.
fn read_data(content_type: &str, value: &RawValue) -> Result<Bytes, EnvelopeError> {
    if attribute::is_json(content_type) || !value.get().starts_with('"') {
        return Ok(Bytes::copy_from_slice(value.get().as_bytes()));
    }
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => Ok(Bytes::from(text)),
        Err(_) => Err(EnvelopeError::invalid(
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
