//! From a value straight to Avro's binary form.

mod error;
mod items;
mod key;
mod record;
mod serializer;

use serde::Serialize;

pub use error::EncodeError;

use super::schema::Schema;
use serializer::Serializer;

/// Deeper values are refused: what is written must be readable again.
const DEEPEST: u32 = 128;

impl Schema {
    /// The value in Avro's binary form, without a header.
    ///
    /// Nothing lies between the value and its bytes: the schema is walked while the value is serialised. What the value has in
    /// JSON as text (a time, a UUID, a decimal) becomes the number or the bytes of its logical type. Fields that the value leaves
    /// out take their defaults.
    pub fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.encode_into(value, &mut out)?;
        Ok(out)
    }

    /// As [`Schema::encode`], after what is already in `out`, which an error leaves as it was.
    pub fn encode_into<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        value
            .serialize(Serializer::new(self, out))
            .inspect_err(|_| out.truncate(start))
    }
}
