//! The schemas that others write by.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::decode::Decoder;
use super::fingerprint_text;
use super::parse::SchemaError;
use super::resolve::ResolveError;
use super::schema::Schema;

/// By the fingerprint of the writer, and the type that reads.
type Decoders = HashMap<(String, TypeId), Arc<Decoder>>;

/// Schemas by which Avro data was or will be written, beside those of the types: earlier builds of a contract, and later ones, whose
/// producers are deployed before their consumers are. [`CloudEvent::decode_with`](crate::CloudEvent::decode_with) finds the one that wrote
/// an event by the fingerprint in its envelope.
///
/// JSON names its fields and needs none of this. Avro data is read by the very schema that wrote it, so a consumer of Avro knows every
/// schema that writes to it: compatible ones too. Take them from the committed `schemas/**/v*.avsc` of the producers, and keep an older
/// text for as long as its events are stored.
///
/// ```
/// use commerce_contracts::avro::WriterSchemas;
/// use commerce_contracts::{CloudEvent, Event};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// #[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
/// struct OrderPlaced { order_id: String }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Most likely `include_str!("…/schemas/orders.order.placed/v1.avsc")`: the producer has a field more.
/// let theirs = r#"{"type": "record", "name": "OrderPlaced", "fields": [
///     {"name": "coupon", "type": ["null", "string"], "default": null}, {"name": "order_id", "type": "string"}]}"#;
/// let writers = WriterSchemas::parse([theirs])?;
/// # let schema: commerce_contracts::avro::Schema = theirs.parse()?;
/// # let data = schema.encode(&serde_json::json!({"coupon": "MAY", "order_id": "A-1"}))?;
/// # let event = CloudEvent::new("/orders", OrderPlaced::TYPE)?.with_data("application/avro", data)?
/// #     .with_extension("avrofingerprint", format!("{:016x}", schema.fingerprint()))?;
/// let placed: OrderPlaced = event.decode_with(&writers)?;
/// assert_eq!(placed.order_id, "A-1");
/// # Ok(())
/// # }
/// ```
///
/// Cloning shares them. Each is resolved once for each type that reads it.
#[derive(Clone, Default)]
pub struct WriterSchemas {
    known: HashMap<String, Schema>,
    decoders: Arc<RwLock<Decoders>>,
}

impl WriterSchemas {
    /// None: what the types' own schemas wrote is read, and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// The schemas in these texts.
    ///
    /// # Errors
    /// The first text that is no Avro schema.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, SchemaError> {
        let schemas = texts.into_iter().map(|text| Schema::parse(text.as_ref()));
        schemas.collect()
    }

    /// One more. Of two with one fingerprint, which differ in no byte of their data, the later one is kept.
    #[must_use]
    pub fn with(mut self, schema: Schema) -> Self {
        self.known.insert(fingerprint_text(&schema), schema);
        // What was resolved may have been so from another one.
        self.decoders = Arc::default();
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The decoder of what the schema with this fingerprint wrote, into the type whose schema `reader` is; None when it is not known.
    pub(crate) fn decoder<E: 'static>(
        &self,
        fingerprint: &str,
        reader: &Schema,
    ) -> Option<Result<Arc<Decoder>, ResolveError>> {
        let writer = self.known.get(fingerprint)?;
        let key = (fingerprint.to_owned(), TypeId::of::<E>());
        let made = self
            .decoders
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(decoder) = made {
            return Some(Ok(decoder));
        }
        Some(Decoder::new(writer, reader).map(|decoder| {
            let mut decoders = self
                .decoders
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(decoders.entry(key).or_insert_with(|| Arc::new(decoder)))
        }))
    }
}

impl FromIterator<Schema> for WriterSchemas {
    fn from_iter<I: IntoIterator<Item = Schema>>(schemas: I) -> Self {
        schemas.into_iter().fold(Self::new(), Self::with)
    }
}

impl Extend<Schema> for WriterSchemas {
    fn extend<I: IntoIterator<Item = Schema>>(&mut self, schemas: I) {
        *self = schemas.into_iter().fold(std::mem::take(self), Self::with);
    }
}

impl fmt::Debug for WriterSchemas {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fingerprints: Vec<&String> = self.known.keys().collect();
        fingerprints.sort();
        formatter
            .debug_tuple("WriterSchemas")
            .field(&fingerprints)
            .finish()
    }
}
