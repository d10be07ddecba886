//! `#[derive(AvroSchema)]`: the Avro schema of a type, from the description that serde has of it.

mod attributes;
mod case;
mod expand;
mod logical;

pub(crate) use expand::expand;
