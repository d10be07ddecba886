//! Avro: the schema model, encoding and decoding.
#![cfg(all(feature = "derive", feature = "validation", feature = "vocabulary"))]

mod agreement;
mod decoding;
mod derived;
mod encoding;
mod evolution;
mod framing;
mod logical;
mod peer;
mod schema;
mod types;
