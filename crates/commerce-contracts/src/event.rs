//! Typed events: the trait, and the way from a type to an envelope and back.

use std::sync::LazyLock;

use chrono::Utc;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::attribute::{self, Attribute, EnvelopeError};
use crate::avro::{self, AvroSchema, WriterSchemas};
use crate::cloud_event::CloudEvent;
use crate::contract::Contract;
use crate::deprecation::Deprecation;
use crate::version;
use crate::violation::Violations;

/// A kind of event: a type with a name, a version, a topic, an ordering key and two schemas. Derive it with `#[derive(Event)]`,
/// which also gives it its Avro schema.
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
    fn upcast(event: &CloudEvent, writers: &WriterSchemas) -> Result<Self, DecodeError> {
        let _ = writers;
        Err(Self::contract().refusal(event.event_type()))
    }

    /// Since when the event is deprecated: `deprecated(…)` in the attribute.
    fn deprecation() -> Option<Deprecation> {
        None
    }

    /// The event in a new envelope: new id, the time now, the key as subject and ordering key, the data as JSON that its
    /// schema allows (feature `validation`).
    fn event(&self) -> Result<CloudEvent, EncodeError> {
        #[cfg(feature = "validation")]
        Self::contract().check(self).map_err(EncodeError::Invalid)?;
        let data = serde_json::to_vec(self).map_err(EncodeError::Data)?;
        envelope(self, "application/json", data)
    }

    /// As [`event`](Event::event), with the data in Avro's binary form by the type's own schema, without anything before it:
    /// the media type says that it is Avro, and the extension [`avro::FINGERPRINT`] which schema wrote it.
    /// [`CloudEvent::decode`] reads it.
    ///
    /// ```
    /// use commerce_contracts::Event;
    /// use schemars::JsonSchema;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Event, Serialize, Deserialize, JsonSchema, Debug, PartialEq)]
    /// #[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
    /// struct OrderPlaced { order_id: String, total_minor: i64 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let placed = OrderPlaced { order_id: "A-1".into(), total_minor: 1234 };
    /// let event = placed.event_avro()?;
    /// assert_eq!(event.data_content_type(), Some("application/avro"));
    /// assert_eq!(event.data().map(|data| data.len()), Some(6)); // 32 bytes and more as JSON
    /// assert_eq!(event.decode::<OrderPlaced>()?, placed);
    /// # Ok(())
    /// # }
    /// ```
    fn event_avro(&self) -> Result<CloudEvent, EncodeError> {
        #[cfg(feature = "validation")]
        Self::contract().check(self).map_err(EncodeError::Invalid)?;
        let schema = Self::contract()
            .avro_schema()
            .map_err(|error| EncodeError::AvroSchema(error.clone()))?;
        let event = envelope(self, avro::MEDIA_TYPE, schema.encode(self)?)?;
        Ok(event.with_extension(avro::FINGERPRINT, avro::fingerprint_text(schema))?)
    }
}

fn envelope<E: Event>(
    event: &E,
    content_type: &str,
    data: Vec<u8>,
) -> Result<CloudEvent, EncodeError> {
    let context = E::NAME.split('.').next().unwrap_or(E::NAME);
    let key = event.key();
    let envelope = CloudEvent::new(format!("/{context}"), E::TYPE)?
        .with_subject(key.as_str())?
        .with_key(key)?
        .with_time(Utc::now())?
        .with_data(content_type, data)?
        .with_data_schema(E::contract().data_schema())?;
    Ok(envelope)
}

/// Why a typed event cannot become an envelope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value breaks what its own schema promises: a limit, a pattern, a length that its type does not keep.
    #[error("the event breaks its own contract: {0}")]
    Invalid(Violations),
    /// The value cannot be written as JSON.
    #[error("the event cannot be written as JSON")]
    Data(#[source] serde_json::Error),
    /// The value cannot be written by the type's Avro schema.
    #[error("the event cannot be written as Avro")]
    Avro(#[from] avro::EncodeError),
    /// The type has no Avro schema as a whole: see [`Contract::avro_schema`].
    #[error("the type of the event has no Avro schema")]
    AvroSchema(#[source] avro::SchemaError),
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
    /// The event that was asked for, and its version is not written as versions are: `orders.order.placed.V3`, `….v03`, or none.
    #[error(
        "the event is a {found}, which is no version of {name} as its versions are written ({name}.v1): correct its producer, then deliver \
         the event again"
    )]
    MalformedVersion {
        /// The name of the event.
        name: &'static str,
        /// The type of the event.
        found: String,
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
    /// The data is neither JSON nor Avro by its media type.
    #[error("the data is {content_type}, and only JSON and Avro are read")]
    OtherFormat {
        /// The media type.
        content_type: String,
    },
    /// The data is not in the format that its media type says, or does not fit the type.
    #[error("the data cannot be read: {detail}")]
    Malformed {
        /// What is wrong, without the value.
        detail: String,
    },
    /// The type has no Avro schema as a whole: see [`Contract::avro_schema`].
    #[error("the type of the event has no Avro schema: {0}")]
    AvroSchema(avro::SchemaError),
    /// Another Avro schema wrote the data than the one that was to read it.
    #[error(
        "the data was written by the Avro schema of fingerprint {found}, not {expected}: give the consumer that schema, which its \
         producer has committed, among its `avro::WriterSchemas`, then deliver the event again"
    )]
    OtherAvroSchema {
        /// The fingerprint of the schema that was to read it, as hexadecimal digits.
        expected: String,
        /// What the event says.
        found: String,
    },
    /// The data can be read and breaks the JSON Schema, or what its type asks beyond that.
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
    ///
    /// Avro is read when the type's own schema, or that of an older version of it, wrote it; of others see
    /// [`decode_with`](Self::decode_with).
    pub fn decode<E: Event>(&self) -> Result<E, DecodeError> {
        // Nothing is allocated for none.
        static NONE: LazyLock<WriterSchemas> = LazyLock::new(WriterSchemas::new);
        self.decode_with(&NONE)
    }

    /// As [`decode`](Self::decode), and of Avro also what one of these schemas wrote: an earlier or a later build of the contract, in any
    /// version that the type reads.
    pub fn decode_with<E: Event>(&self, writers: &WriterSchemas) -> Result<E, DecodeError> {
        if self.event_type() != E::TYPE {
            return match E::contract().version_of(self.event_type()) {
                Ok(_) => E::upcast(self, writers),
                Err(refusal) => Err(refusal),
            };
        }
        self.check_data_schema(E::contract())?;
        let data = self.data().ok_or(DecodeError::NoData)?;
        if let Some(content_type) = self
            .data_content_type()
            .filter(|content_type| !attribute::is_json(content_type))
        {
            if avro::is_media_type(content_type) {
                return self.read_own_or_known(data, writers);
            }
            return Err(DecodeError::OtherFormat {
                content_type: content_type.to_owned(),
            });
        }
        read(data)
    }

    /// By the type's own schema, unless the envelope names another one that is known.
    fn read_own_or_known<E: Event>(
        &self,
        data: &[u8],
        writers: &WriterSchemas,
    ) -> Result<E, DecodeError> {
        let own = E::contract().avro_decoder()?;
        // The own decoder reads what its own schema wrote, which is the type's.
        let schema = own.writer();
        if !writers.is_empty()
            && let Some(Attribute::String(found)) = self.extension(avro::FINGERPRINT)
            && *found != avro::fingerprint_text(schema)
            && let Some(decoder) = writers.decoder::<E>(found, schema)
        {
            let decoder = decoder.map_err(|error| unreadable(&error))?;
            return read_avro(self, data, &decoder);
        }
        read_avro(self, data, own)
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

    /// The typed event from Avro that another schema than the type's own wrote: an earlier build of the contract, or another team's.
    /// The decoder is made once for each such schema, and resolves it into the type's; see [`Contract::avro_decoder_for`]. It is of one
    /// version, and nothing is upcast: [`decode_with`](Self::decode_with) finds the decoder itself, at every version.
    /// Which of them, the extension [`avro::FINGERPRINT`] tells when [`Event::event_avro`] made the event.
    pub fn decode_avro<E: Event>(&self, decoder: &avro::Decoder) -> Result<E, DecodeError> {
        if self.event_type() != E::TYPE {
            return Err(DecodeError::WrongType {
                expected: E::TYPE,
                found: self.event_type().to_owned(),
            });
        }
        self.check_data_schema(E::contract())?;
        let data = self.data().ok_or(DecodeError::NoData)?;
        read_avro(self, data, decoder)
    }
}

/// Avro does not know what JSON Schema promises beyond types (ranges, patterns): what was read keeps the same promise as JSON.
fn read_avro<E: Event>(
    envelope: &CloudEvent,
    data: &[u8],
    decoder: &avro::Decoder,
) -> Result<E, DecodeError> {
    // Read by another schema than the one that wrote it, Avro is not refused but becomes another value.
    let expected = avro::fingerprint_text(decoder.writer());
    if let Some(found) = envelope
        .extension(avro::FINGERPRINT)
        .map(ToString::to_string)
        .filter(|found| *found != expected)
    {
        return Err(DecodeError::OtherAvroSchema { expected, found });
    }
    let event: E = decoder
        .decode(data)
        .map_err(|error| DecodeError::Malformed {
            detail: error.to_string(),
        })?;
    #[cfg(feature = "validation")]
    E::contract().check(&event).map_err(DecodeError::Invalid)?;
    Ok(event)
}

/// No data of the writer's schema fits the type.
pub(crate) fn unreadable(error: &avro::ResolveError) -> DecodeError {
    DecodeError::Malformed {
        detail: format!("no data of its Avro schema fits this type: {error}"),
    }
}

#[cfg(feature = "validation")]
fn read<E: Event>(data: &[u8]) -> Result<E, DecodeError> {
    let value: serde_json::Value =
        serde_json::from_slice(data).map_err(|error| malformed(&error))?;
    E::contract()
        .validate(&value)
        .map_err(DecodeError::Invalid)?;
    serde_json::from_value(value).map_err(|_| refused_by_type::<E>(data))
}

/// What the schema lets through and the type refuses, with its place: it is read once more to find that, for it is rare.
#[cfg(feature = "validation")]
fn refused_by_type<E: Event>(data: &[u8]) -> DecodeError {
    let value: serde_json::Value = match serde_json::from_slice(data) {
        Ok(value) => value,
        Err(error) => return malformed(&error),
    };
    let Err(error) = serde_path_to_error::deserialize::<_, E>(&value) else {
        // A type that refuses and then takes the same data.
        return DecodeError::Malformed {
            detail: REFUSED.to_owned(),
        };
    };
    let place: Vec<String> = error.path().iter().filter_map(segment).collect();
    let told = without_values(error.inner());
    let expected = match told.strip_prefix("a value is not ") {
        Some(expected) => expected,
        None if told == REFUSED => "a value that its type takes",
        None => &told,
    };
    let schema = E::contract().schema_on_read();
    DecodeError::Invalid(Violations::of_type(schema, &value, &place, expected))
}

/// A step into the data; the variants of a choice are no place in the data.
#[cfg(feature = "validation")]
fn segment(segment: &serde_path_to_error::Segment) -> Option<String> {
    use serde_path_to_error::Segment;
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

#[cfg(not(feature = "validation"))]
fn read<E: Event>(data: &[u8]) -> Result<E, DecodeError> {
    serde_json::from_slice(data).map_err(|error| malformed(&error))
}

/// What is said of a value when what serde says of it quotes it.
const REFUSED: &str = "a value is refused by its type";

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
    // The last one: the value that is quoted before it may hold the same words.
    } else if let Some((_, expected)) = text
        .rsplit_once(", expected ")
        .filter(|_| text.starts_with("invalid ") || text.starts_with("unknown variant "))
    {
        format!(
            "a value is not {}",
            expected.split(" at line ").next().unwrap_or_default()
        )
    } else {
        REFUSED.to_owned()
    };
    match error.line() {
        0 => told,
        line => format!("{told} (line {line}, column {})", error.column()),
    }
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn a_value_that_reads_like_a_message_is_not_told() {
        for value in ["ana", "x, expected ana", "ana, expected u32"] {
            let json = serde_json::to_string(value).unwrap();
            let error = serde_json::from_str::<u32>(&json).unwrap_err();
            let told = without_values(&error);
            assert!(told.starts_with("a value is not u32"), "{told}");
            assert!(!told.contains("ana"), "{told}");
        }
    }
}
