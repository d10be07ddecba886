//! What is promised about one kind of event: its name, version, topic, key and schemas.

use std::fmt;
use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
#[cfg(feature = "validation")]
use serde::Serialize;
use serde_json::Value;

use crate::avro;
use crate::deprecation::Deprecation;
use crate::event::{DecodeError, Event, unreadable};
use crate::json_schema;
use crate::personal;
#[cfg(feature = "validation")]
use crate::plan::Plan;
use crate::version;
#[cfg(feature = "validation")]
use crate::violation::Violations;

/// The contract of one kind of event.
///
/// It has two JSON Schemas (draft 2020-12): what is written, and what is read. They differ where a type writes one form
/// and reads several, or where a field may be left out. It has one Avro schema, of what is written and read. Data is validated when
/// it is read, and values when they are written, by [`Contract::check`]: a type alone keeps neither limits nor patterns.
pub struct Contract {
    name: &'static str,
    version: u32,
    event_type: &'static str,
    topic: &'static str,
    key: String,
    data_schema: String,
    schema_on_write: Value,
    schema_on_read: Value,
    avro_schema: Result<avro::Schema, avro::SchemaError>,
    personal: Vec<String>,
    previous: Option<&'static Contract>,
    avro_decoder: OnceLock<avro::Decoder>,
    deprecation: Option<Deprecation>,
    #[cfg(feature = "validation")]
    on_write: OnceLock<Result<jsonschema::Validator, Violations>>,
    #[cfg(feature = "validation")]
    on_read: OnceLock<Result<jsonschema::Validator, Violations>>,
    #[cfg(feature = "validation")]
    plan: OnceLock<Plan>,
}

impl Contract {
    /// The contract of `E`, whose ordering key is the field (or path of fields) `key`, by the names that they have in Rust. Made once
    /// by `#[derive(Event)]`.
    pub fn of<E: Event>(key: &'static str) -> Self {
        let settings = SchemaSettings::draft2020_12();
        let avro_schema = avro::Schema::of::<E>();
        let personal = avro_schema
            .as_ref()
            .map_or_else(|_| Vec::new(), personal::places);
        let finished = |settings: SchemaSettings| {
            let generator = settings.into_generator();
            let mut schema = generator.into_root_schema_for::<E>().to_value();
            json_schema::bound_integers(&mut schema);
            personal::mark(&mut schema, &personal);
            if let (Some(_), Value::Object(schema)) = (E::deprecation(), &mut schema) {
                schema.insert("deprecated".to_owned(), true.into());
            }
            schema
        };
        let mut schema_on_write = finished(settings.clone().for_serialize());
        let mut schema_on_read = finished(settings.for_deserialize());
        if let Ok(avro_schema) = &avro_schema {
            json_schema::limit(&mut schema_on_write, avro_schema);
            json_schema::widen(&mut schema_on_read, avro_schema);
        }
        Self {
            name: E::NAME,
            version: E::VERSION,
            event_type: E::TYPE,
            topic: E::TOPIC,
            key: avro::wire_path(E::FIELDS, key),
            data_schema: format!("{}{}:v{}", version::DATA_SCHEMA, E::NAME, E::VERSION),
            schema_on_write,
            schema_on_read,
            avro_schema,
            personal,
            previous: E::previous(),
            avro_decoder: OnceLock::new(),
            deprecation: E::deprecation(),
            #[cfg(feature = "validation")]
            on_write: OnceLock::new(),
            #[cfg(feature = "validation")]
            on_read: OnceLock::new(),
            #[cfg(feature = "validation")]
            plan: OnceLock::new(),
        }
    }

    /// The name: `orders.order.created`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The CloudEvents type: `orders.order.created.v1`.
    pub fn event_type(&self) -> &'static str {
        self.event_type
    }

    /// The topic that it is published to.
    pub fn topic(&self) -> &'static str {
        self.topic
    }

    /// The field, or path of fields, that is the ordering key, by the names that it has in the data: `orderId`, `customer.id`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The URI that identifies the schema of the data: `urn:contract:orders.order.created:v1`.
    pub fn data_schema(&self) -> &str {
        &self.data_schema
    }

    /// The JSON Schema of what is written.
    pub fn schema_on_write(&self) -> &Value {
        &self.schema_on_write
    }

    /// The JSON Schema of what is read.
    pub fn schema_on_read(&self) -> &Value {
        &self.schema_on_read
    }

    /// The Avro schema, by which data is written and into which it is read.
    ///
    /// It is an error when the types of the fields cannot stand in one schema, which no compiler sees: two of them have one
    /// name, or what stands for a missing field is no default in Avro.
    pub fn avro_schema(&self) -> Result<&avro::Schema, &avro::SchemaError> {
        self.avro_schema.as_ref()
    }

    /// Where the data tells about a person, by the marks `#[event(personal)]` and by types that are personal: JSON pointers in which `*`
    /// is every item of a list or map, and `**` any number of steps (also none) within a type that contains itself.
    pub fn personal(&self) -> &[String] {
        &self.personal
    }

    /// Since when the event is deprecated and what is published in its place; None while it is not.
    pub fn deprecation(&self) -> Option<Deprecation> {
        self.deprecation
    }

    /// The contract of the version before, where events of that version are read too.
    pub fn previous(&self) -> Option<&'static Contract> {
        self.previous
    }

    /// Every version that the type reads, newest first: its own, and those that it upcasts from.
    ///
    /// ```
    /// # use commerce_contracts::{Event, commerce::OrderCreated};
    /// // What a subscription that filters by type has to let through.
    /// let types: Vec<&str> = OrderCreated::contract().versions().map(|version| version.event_type()).collect();
    /// assert_eq!(types, ["orders.order.created.v1"]);
    /// ```
    pub fn versions(&self) -> impl Iterator<Item = &Contract> {
        std::iter::successors(Some(self), |contract| contract.previous)
    }

    /// Whether the type reads events of this CloudEvents type, upcasting where it must.
    pub fn accepts(&self, event_type: &str) -> bool {
        self.versions()
            .any(|version| version.event_type == event_type)
    }

    /// The version that events of this CloudEvents type have.
    ///
    /// # Errors
    /// [`DecodeError::UnknownVersion`] where it is this event in a version that the type does not read,
    /// [`DecodeError::MalformedVersion`] where its version is not written as versions are, and [`DecodeError::WrongType`] where it is
    /// another event.
    pub fn version_of(&self, event_type: &str) -> Result<&Contract, DecodeError> {
        self.versions()
            .find(|version| version.event_type == event_type)
            .ok_or_else(|| self.refusal(event_type))
    }

    /// Why the type does not read events of this CloudEvents type.
    pub(crate) fn refusal(&self, event_type: &str) -> DecodeError {
        match version::split(event_type) {
            Some((name, found)) if name == self.name => DecodeError::UnknownVersion {
                name: self.name,
                found,
                oldest: self
                    .versions()
                    .last()
                    .map_or(self.version, |oldest| oldest.version),
                newest: self.version,
            },
            _ if version::is_oddly_spelled(self.name, event_type) => {
                DecodeError::MalformedVersion {
                    name: self.name,
                    found: event_type.to_owned(),
                }
            }
            _ => DecodeError::WrongType {
                expected: self.event_type,
                found: event_type.to_owned(),
            },
        }
    }

    /// A decoder of what `writer` wrote into what this contract's type reads. Make it once for each schema that writes.
    ///
    /// ```
    /// use commerce_contracts::avro::Schema;
    /// use commerce_contracts::{CloudEvent, Event};
    /// use schemars::JsonSchema;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Event, Serialize, Deserialize, JsonSchema)]
    /// #[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
    /// struct OrderPlaced {
    ///     order_id: String,
    ///     total_minor: i64,
    ///     #[serde(default)]
    ///     gift: bool,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // The same version, before it had `gift`.
    /// let writer = Schema::parse(r#"{"type": "record", "name": "OrderPlaced", "fields": [
    ///     {"name": "order_id", "type": "string"}, {"name": "total_minor", "type": "int"}]}"#)?;
    /// let decoder = OrderPlaced::contract().avro_decoder_for(&writer)?;
    ///
    /// let data = writer.encode(&serde_json::json!({"order_id": "A-1", "total_minor": 1234}))?;
    /// let event = CloudEvent::new("/orders", OrderPlaced::TYPE)?.with_data("application/avro", data)?;
    /// let placed: OrderPlaced = event.decode_avro(&decoder)?;
    /// assert_eq!((placed.total_minor, placed.gift), (1234, false));
    /// # Ok(())
    /// # }
    /// ```
    pub fn avro_decoder_for(&self, writer: &avro::Schema) -> Result<avro::Decoder, DecodeError> {
        let reader = self
            .avro_schema()
            .map_err(|error| DecodeError::AvroSchema(error.clone()))?;
        avro::Decoder::new(writer, reader).map_err(|error| unreadable(&error))
    }

    /// The decoder of what this contract's own schema wrote.
    pub(crate) fn avro_decoder(&self) -> Result<&avro::Decoder, DecodeError> {
        if let Some(decoder) = self.avro_decoder.get() {
            return Ok(decoder);
        }
        let own = self
            .avro_schema()
            .map_err(|error| DecodeError::AvroSchema(error.clone()))?;
        let decoder = self.avro_decoder_for(own)?;
        Ok(self.avro_decoder.get_or_init(|| decoder))
    }

    /// Checks data that was read.
    #[cfg(feature = "validation")]
    pub fn validate(&self, data: &Value) -> Result<(), Violations> {
        check(&self.on_read, &self.schema_on_read, data)
    }

    /// Checks a value that is to be written, as it is: it is not turned into JSON where the schema can be followed without.
    /// [`Event::event`] does so with every event.
    #[cfg(feature = "validation")]
    pub fn check<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Violations> {
        let plan = self.plan.get_or_init(|| Plan::of(&self.schema_on_write));
        if plan.accepts(value) {
            return Ok(());
        }
        // The last word, and the words for what is wrong.
        match serde_json::to_value(value) {
            Ok(data) => self.validate_on_write(&data),
            // What can be written and not be held is an integer that is too wide for most readers; what cannot be written at all is
            // told of where it is.
            Err(_) => serde_json::to_vec(value)
                .ok()
                .and_then(|json| Violations::of_wide_integers(&json, &self.schema_on_write))
                .map_or(Ok(()), Err),
        }
    }

    /// Checks data that is to be written.
    #[cfg(feature = "validation")]
    pub fn validate_on_write(&self, data: &Value) -> Result<(), Violations> {
        check(&self.on_write, &self.schema_on_write, data)
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Contract")
            .field("event_type", &self.event_type)
            .field("topic", &self.topic)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "validation")]
fn check(
    cache: &OnceLock<Result<jsonschema::Validator, Violations>>,
    schema: &Value,
    data: &Value,
) -> Result<(), Violations> {
    let validator = cache
        .get_or_init(|| compile(schema))
        .as_ref()
        .map_err(Clone::clone)?;
    // The quick answer first: nearly all data is valid.
    if validator.is_valid(data) {
        return Ok(());
    }
    Err(Violations::of(validator.iter_errors(data), schema, data))
}

/// A type can describe itself with a schema that is none; everything it reads is then refused, with this reason.
#[cfg(feature = "validation")]
pub(crate) fn compile(schema: &Value) -> Result<jsonschema::Validator, Violations> {
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| Violations::of_schema(&error))
}
