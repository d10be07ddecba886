//! Typed events: the trait, and the way from a type to an envelope and back.

use chrono::Utc;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::attribute::{self, EnvelopeError};
use crate::avro::AvroSchema;
use crate::cloud_event::CloudEvent;
use crate::contract::Contract;
use crate::deprecation::Deprecation;
use crate::version;
use crate::violation::Violations;

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

    /// The contract of the version before, where events of that version are read too: `upcasts = …` in the attribute.
    fn previous() -> Option<&'static Contract> {
        None
    }

    /// Reads an event of the version before, or of one before that, and upcasts it. [`CloudEvent::decode`] calls it for the
    /// versions that [`previous`](Event::previous) leads to; the derive macro writes it.
    fn upcast(event: &CloudEvent) -> Result<Self, DecodeError> {
        Err(Self::contract().refusal(event.event_type()))
    }

    /// Since when the event is deprecated: `deprecated(…)` in the attribute.
    fn deprecation() -> Option<Deprecation> {
        None
    }

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
    /// Another kind of event.
    #[error("the event is a {found}, not a {expected}")]
    WrongType {
        /// The type that was asked for.
        expected: &'static str,
        /// The type of the event.
        found: String,
    },
    /// The event that was asked for, in a version that the type does not read.
    #[error("the event is version {found} of {name}, {}", version::advice(*found, *oldest, *newest))]
    UnknownVersion {
        /// The name of the event.
        name: &'static str,
        /// Its version.
        found: u32,
        /// The oldest version that the type reads: the end of its upcasts.
        oldest: u32,
        /// The newest version that the type reads: its own.
        newest: u32,
    },
    /// The type of the event and the `dataschema` beside it name different contracts.
    #[error(
        "the event is a {event_type}, and its dataschema says {data_schema}: one of them is wrong, so its producer must set both from one contract"
    )]
    OtherSchema {
        /// The type of the event.
        event_type: String,
        /// What its `dataschema` names.
        data_schema: String,
    },
    /// The event holds what the version before allowed and this one does not.
    #[error("the event is a {from} and cannot be upcast to {to}: {detail}")]
    Upcast {
        /// The type of the older version.
        from: &'static str,
        /// The type of the newer version.
        to: &'static str,
        /// What the conversion says.
        detail: String,
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
    /// The typed event: finds the contract of its version, checks the data against that (feature `validation`), reads it, and
    /// upcasts it from version to version until it is an `E`.
    ///
    /// The CloudEvents type says which version it is. A `dataschema` of the same form as [`Contract::data_schema`] must agree with
    /// it; any other is somebody else's name for a schema, and is not looked at. Fields that the contract does not know are those of
    /// a later producer and are passed over, unless the type has `#[serde(deny_unknown_fields)]`.
    ///
    /// ```
    /// use commerce_contracts::{CloudEvent, DecodeError, Event};
    /// use schemars::JsonSchema;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Event, Serialize, Deserialize, JsonSchema)]
    /// #[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
    /// struct OrderPlacedV1 { order_id: String, total_minor: i64 }
    ///
    /// #[derive(Event, Serialize, Deserialize, JsonSchema)]
    /// #[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts = OrderPlacedV1)]
    /// struct OrderPlaced { order_id: String, total_minor: i64, currency: String }
    ///
    /// impl From<OrderPlacedV1> for OrderPlaced {
    ///     fn from(old: OrderPlacedV1) -> Self {
    ///         // What version 1 left unsaid.
    ///         Self { order_id: old.order_id, total_minor: old.total_minor, currency: "BRL".into() }
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let stored = OrderPlacedV1 { order_id: "A-1".into(), total_minor: 1234 }.event()?;
    /// assert_eq!(stored.decode::<OrderPlaced>()?.currency, "BRL");
    ///
    /// let newer = CloudEvent::new("/orders", "orders.order.placed.v3")?;
    /// assert!(matches!(newer.decode::<OrderPlaced>(), Err(DecodeError::UnknownVersion { found: 3, newest: 2, .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn decode<E: Event>(&self) -> Result<E, DecodeError> {
        if self.event_type() != E::TYPE {
            return match E::contract().version_of(self.event_type()) {
                Ok(_) => E::upcast(self),
                Err(refusal) => Err(refusal),
            };
        }
        self.check_data_schema(E::contract())?;
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

    fn check_data_schema(&self, contract: &Contract) -> Result<(), DecodeError> {
        match self.data_schema() {
            Some(said)
                if said.starts_with(version::DATA_SCHEMA) && said != contract.data_schema() =>
            {
                Err(DecodeError::OtherSchema {
                    event_type: self.event_type().to_owned(),
                    data_schema: said.to_owned(),
                })
            }
            _ => Ok(()),
        }
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
