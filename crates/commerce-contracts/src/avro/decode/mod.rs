//! From Avro's binary form straight to a value.

mod bytes;
mod deserializer;
mod error;
mod key;
mod list;
mod record;
mod skip;
mod variant;

use std::fmt;

use serde::Deserialize;

pub use error::DecodeError;

use super::resolve::{self, Plan, PlanId, ResolveError};
use super::schema::Schema;
use super::wire::Input;
use deserializer::Deserializer;

/// Reads data of the writer's schema as the reader's schema says: fields that were added take their defaults, fields that are
/// gone are passed over, aliases and promotions are followed. How is worked out once, when it is made.
///
/// No bytes make it panic, take more memory than they back, or nest without end.
pub struct Decoder {
    plans: Vec<Plan>,
    root: PlanId,
    writer: Schema,
}

impl Decoder {
    /// A decoder for data of `writer` and types of `reader`, unless no data of the one could be read by the other.
    pub fn new(writer: &Schema, reader: &Schema) -> Result<Self, ResolveError> {
        let (plans, root) = resolve::resolve(writer, reader)?;
        Ok(Self {
            plans,
            root,
            writer: writer.clone(),
        })
    }

    /// The schema of the data that it reads.
    pub fn writer(&self) -> &Schema {
        &self.writer
    }

    /// The value of the whole of `data`. It may borrow its texts.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self, data: &'de [u8]) -> Result<T, DecodeError> {
        let mut input = Input::new(data);
        let value = T::deserialize(Deserializer {
            decoder: self,
            plan: &self.plans[self.root],
            input: &mut input,
        })?;
        match input.left() {
            0 => Ok(value),
            left => Err(DecodeError::new(format!(
                "{left} bytes are left after the value"
            ))),
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}
