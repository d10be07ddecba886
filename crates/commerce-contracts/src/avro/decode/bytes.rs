//! Bytes as the list of numbers that a type without bytes of its own, such as `Vec<u8>`, asks for.

use serde::de::{DeserializeSeed, IntoDeserializer, SeqAccess};

use super::DecodeError;

pub(super) struct Numbers<'de> {
    bytes: &'de [u8],
}

impl<'de> Numbers<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.bytes {
            [] => Ok(()),
            _ => Err(DecodeError::new("more bytes than the type takes")),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Numbers<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((byte, rest)) = self.bytes.split_first() else {
            return Ok(None);
        };
        self.bytes = rest;
        seed.deserialize((*byte).into_deserializer()).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len())
    }
}
