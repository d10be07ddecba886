//! Typed events: the trait, and the way from a type to an envelope and back.

use chrono::Utc;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::attribute::{self, EnvelopeError};
use crate::avro::AvroSchema;
use crate::cloud_event::CloudEvent;
use crate::contract::{Contract, Violations};

/// A kind of event: a type with a name, a version, a topic, an ordering key and two schemas. Derive it with `#[derive(Event)]`,
/// which also gives it its Avro schema.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "derive it: `#[derive(Event, Serialize, Deserialize, JsonSchema)]` with `#[event(name = …, version = …, topic = …, key = …)]`"
)]
pub trait Event:
    Serialize + DeserializeOwned + JsonSchema + AvroSchema + Send + Sync + 'static
{
    /// The name: `orders.order.created`.
    const NAME: &'static str;
    /// The version, 1 or more.
    const VERSION: u32;
    /// The name with the version, which is the CloudEvents type: `orders.order.created.v1`.
    const TYPE: &'static str;
    /// The topic that it is published to.
    const TOPIC: &'static str;

    /// The ordering key: events with the same key keep their order.
    fn key(&self) -> String;

    /// The contract, made once: schemas and their validators.
    fn contract() -> &'static Contract;

    /// The event in a new envelope: new id, the time now, the key as subject and ordering key, the data as JSON.
    fn event(&self) -> Result<CloudEvent, EncodeError> {
        let data = serde_json::to_vec(self).map_err(EncodeError::Data)?;
        let context = Self::NAME.split('.').next().unwrap_or(Self::NAME);
        let key = self.key();
        let event = CloudEvent::new(format!("/{context}"), Self::TYPE)?
            .with_subject(key.as_str())?
            .with_key(key)?
            .with_time(Utc::now())?
            .with_data("application/json", data)?
            .with_data_schema(Self::contract().data_schema())?;
        Ok(event)
    }
}

/// Why a typed event cannot become an envelope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value cannot be written as JSON.
    #[error("the event cannot be written as JSON")]
    Data(#[source] serde_json::Error),
    /// An attribute, most likely the ordering key, breaks a rule of the envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

/// Why an envelope does not hold the typed event that was asked for. It never quotes the data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Another kind of event, or another version.
    #[error("the event is a {found}, not a {expected}")]
    WrongType {
        /// The type that was asked for.
        expected: &'static str,
        /// The type of the event.
        found: String,
    },
    /// The event has no data.
    #[error("the event has no data")]
    NoData,
    /// The data is not JSON by its media type.
    #[error("the data is {content_type}, not JSON")]
    NotJson {
        /// The media type.
        content_type: String,
    },
    /// The data is not JSON, or does not fit the type.
    #[error("the data cannot be read: {detail}")]
    Malformed {
        /// What is wrong, without the value.
        detail: String,
    },
    /// The data is JSON and breaks the schema.
    #[error("the data breaks its contract: {0}")]
    Invalid(Violations),
}

impl CloudEvent {
    /// The typed event: checks the type of the event, then the JSON Schema of the data (feature `validation`), then reads it.
    pub fn decode<E: Event>(&self) -> Result<E, DecodeError> {
        if self.event_type() != E::TYPE {
            return Err(DecodeError::WrongType {
                expected: E::TYPE,
                found: self.event_type().to_owned(),
            });
        }
        let data = self.data().ok_or(DecodeError::NoData)?;
        if let Some(content_type) = self
            .data_content_type()
            .filter(|content_type| !attribute::is_json(content_type))
        {
            return Err(DecodeError::NotJson {
                content_type: content_type.to_owned(),
            });
        }
        read(data)
    }
}

#[cfg(feature = "validation")]
fn read<E: Event>(data: &[u8]) -> Result<E, DecodeError> {
    let value: serde_json::Value =
        serde_json::from_slice(data).map_err(|error| malformed(&error))?;
    E::contract()
        .validate(&value)
        .map_err(DecodeError::Invalid)?;
    serde_json::from_value(value).map_err(|error| malformed(&error))
}

#[cfg(not(feature = "validation"))]
fn read<E: Event>(data: &[u8]) -> Result<E, DecodeError> {
    serde_json::from_slice(data).map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> DecodeError {
    let detail = if error.is_data() {
        without_values(error)
    } else {
        error.to_string()
    };
    DecodeError::Malformed { detail }
}

/// What serde says about a wrong value quotes the value. Only the parts that come from the type are kept.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let told = if ["missing field ", "duplicate field "]
        .iter()
        .any(|known| text.starts_with(known))
    {
        text.split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned()
    } else if let Some((_, expected)) = text
        .split_once(", expected ")
        .filter(|_| text.starts_with("invalid ") || text.starts_with("unknown variant "))
    {
        format!(
            "a value is not {}",
            expected.split(" at line ").next().unwrap_or_default()
        )
    } else {
        "a value is refused by its type".to_owned()
    };
    match error.line() {
        0 => told,
        line => format!("{told} (line {line}, column {})", error.column()),
    }
}
