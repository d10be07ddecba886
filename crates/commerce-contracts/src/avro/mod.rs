//! Avro: schemas, and typed values in Avro's binary form.
//!
//! A [`Schema`] is parsed and checked once. [`Schema::encode`] writes a value by it, and a [`Decoder`], made of the schema
//! that the data was written by and the one that the type has, reads it back: also when the two are different versions.
//!
//! ```
//! use commerce_contracts::avro::{Decoder, Schema};
//! use serde::{Deserialize, Serialize};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let v1 = Schema::parse(r#"{"type": "record", "name": "Sale", "fields": [
//!     {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
//!     {"name": "total", "type": "int"}]}"#)?;
//! let v2 = Schema::parse(r#"{"type": "record", "name": "Sale", "fields": [
//!     {"name": "total_minor", "aliases": ["total"], "type": "long"},
//!     {"name": "channel", "type": "string", "default": "shop"}]}"#)?;
//!
//! #[derive(Serialize)]
//! struct Written { id: uuid::Uuid, total: i32 }
//! let data = v1.encode(&Written { id: uuid::Uuid::nil(), total: 1234 })?;
//!
//! #[derive(Deserialize, PartialEq, Debug)]
//! struct Read<'a> { total_minor: i64, channel: &'a str }
//! let decoder = Decoder::new(&v1, &v2)?;
//! assert_eq!(decoder.decode::<Read>(&data)?, Read { total_minor: 1234, channel: "shop" });
//! # Ok(())
//! # }
//! ```
//!
//! # Decimals and times
//! A newtype asks for a logical type, and the contract's JSON Schemas say the same of its text: what has more digits is neither produced nor
//! read, in either form. The derive of `AvroSchema` lists the attributes.
//!
//! ```
//! # #[cfg(all(feature = "derive", feature = "validation"))] {
//! use commerce_contracts::Event;
//! use commerce_contracts::avro::AvroSchema;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(AvroSchema, Serialize, Deserialize, JsonSchema)]
//! #[avro(decimal(precision = 12, scale = 2))]
//! struct Price(String);
//!
//! #[derive(AvroSchema, Serialize, Deserialize, JsonSchema)]
//! #[avro(timestamp_millis)]
//! struct Moment(chrono::DateTime<chrono::Utc>);
//!
//! #[derive(Event, Serialize, Deserialize, JsonSchema)]
//! #[event(name = "shop.offer.made", version = 1, topic = "offers", key = "id")]
//! struct OfferMade { id: u32, price: Price, at: Moment }
//!
//! let at = || Moment(chrono::DateTime::UNIX_EPOCH);
//! let offer = OfferMade { id: 1, price: Price("12.50".to_owned()), at: at() };
//! assert!(offer.event().is_ok() && offer.event_avro().is_ok());
//! let offer = OfferMade { id: 1, price: Price("12.505".to_owned()), at: at() };
//! assert!(offer.event().is_err() && offer.event_avro().is_err());
//! # }
//! ```
//!
//! # Which schema wrote it
//! Avro data says nothing about itself, so something beside it names the schema that wrote it.
//!
//! | where | what names the schema | |
//! |---|---|---|
//! | [`Event::event_avro`](crate::Event::event_avro) | its fingerprint, in the extension [`FINGERPRINT`] of the envelope | the data stands alone |
//! | [`Schema::encode_single_object`] | the [`fingerprint`](Schema::fingerprint), 8 bytes before the data | files, caches, records without headers |
//! | [`Schema::encode_confluent`] | the number that a registry gave it, 5 bytes before the data | topics that others read through a registry |
//! | [`SchemaId::Guid`] | a registry's GUID in the header [`VALUE_SCHEMA_ID`] | the same, and the data stands alone |
//!
//! A fingerprint is of the canonical form, which leaves out documentation, aliases, defaults and logical types: two schemas with
//! one fingerprint have the same bytes, and may still read them differently.
//!
//! ```
//! use std::collections::HashMap;
//!
//! use commerce_contracts::avro::{self, Decoder, Schema, SchemaId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let old = Schema::parse(r#"{"type": "record", "name": "Sale", "fields": [{"name": "id", "type": "int"}]}"#)?;
//! let new = Schema::parse(r#"{"type": "record", "name": "Sale", "fields": [{"name": "id", "type": "long"}]}"#)?;
//! let sale = HashMap::from([("id", 7)]);
//!
//! // Single-object encoding: one decoder for each schema that ever wrote, found by its fingerprint.
//! let mut decoders = HashMap::new();
//! for writer in [&old, &new] {
//!     decoders.insert(writer.fingerprint(), Decoder::new(writer, &new)?);
//! }
//! let bytes = old.encode_single_object(&sale)?;
//! let (fingerprint, data) = avro::split_single_object(&bytes)?;
//! let read: HashMap<String, i64> = decoders[&fingerprint].decode(data)?;
//! assert_eq!(read["id"], 7);
//!
//! // The Confluent wire format: a zero, the registry's number, the data.
//! let bytes = old.encode_confluent(258, &sale)?;
//! assert_eq!(bytes, [0, 0, 0, 1, 2, 14]);
//! assert_eq!(avro::split_confluent(&bytes)?, (SchemaId::Number(258), &[14][..]));
//!
//! // With a GUID in the header `__value_schema_id`, the data is as `encode` writes it.
//! let header = SchemaId::Guid(uuid::Uuid::from_u128(7)).to_header();
//! assert_eq!((avro::VALUE_SCHEMA_ID, header.len()), ("__value_schema_id", 17));
//! assert_eq!(SchemaId::from_header(&header)?, SchemaId::Guid(uuid::Uuid::from_u128(7)));
//! # Ok(())
//! # }
//! ```

mod canonical;
mod decode;
pub(crate) mod default;
mod definition;
mod encode;
mod fault;
mod fields;
mod framing;
mod key_field;
mod keys;
pub(crate) mod logical;
mod name;
mod newtype;
pub(crate) mod parse;
mod print;
mod resolve;
pub(crate) mod schema;
mod text;
mod wire;
mod writers;

/// Gives a type its Avro schema: see the macro's documentation for the attributes of serde that it follows.
#[cfg(feature = "derive")]
pub use commerce_contracts_derive::AvroSchema;
pub use decode::{DecodeError, Decoder};
pub use definition::{AvroSchema, Definitions, TypeSchema};
#[doc(hidden)]
pub use definition::{FieldList, FieldNaming, Naming};
pub use encode::EncodeError;
pub use framing::{
    FramingError, KEY_SCHEMA_ID, SchemaId, VALUE_SCHEMA_ID, split_confluent, split_single_object,
};
pub(crate) use key_field::wire_path;
#[doc(hidden)]
pub use key_field::{Hides, Holds, KeyField, ShowsAll, Unfit, unfit_key, unfit_newtype};
pub use name::Name;
pub use parse::SchemaError;
pub use resolve::ResolveError;
pub use schema::Schema;
pub(crate) use schema::{Kind, NodeId};
/// The JSON of a default.
#[doc(hidden)]
pub use serde_json::Value as Json;
pub use writers::WriterSchemas;

/// The media type of data in Avro's binary form.
pub const MEDIA_TYPE: &str = "application/avro";

/// The extension of an event that tells the fingerprint of the schema that wrote its data, as 16 hexadecimal digits.
pub const FINGERPRINT: &str = "avrofingerprint";

/// The fingerprint as [`FINGERPRINT`] holds it.
pub(crate) fn fingerprint_text(schema: &Schema) -> String {
    format!("{:016x}", schema.fingerprint())
}

/// Whether data of this media type is Avro's binary form: [`MEDIA_TYPE`], and what others write for it.
pub(crate) fn is_media_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    [
        MEDIA_TYPE,
        "avro/binary",
        "application/vnd.apache.avro+binary",
    ]
    .iter()
    .any(|known| essence.eq_ignore_ascii_case(known))
}
