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

mod canonical;
mod decode;
mod default;
mod definition;
mod encode;
mod framing;
mod logical;
mod name;
mod parse;
mod personal;
mod print;
mod resolve;
mod schema;
mod text;
mod wire;

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
pub use name::Name;
pub use parse::SchemaError;
pub use resolve::ResolveError;
pub use schema::Schema;
