//! Arrays and maps: blocks of items.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use crate::avro::resolve::{Plan, PlanId};
use crate::avro::wire::Input;

use super::deserializer::Deserializer;
use super::key::Key;
use super::{DecodeError, Decoder};

/// Room for so many items is made on the word of the input; the rest comes with the items.
const MOST_FORESEEN: usize = 1024;

type Result<T, E = DecodeError> = std::result::Result<T, E>;

pub(super) struct Items<'a, 'de> {
    decoder: &'de Decoder,
    item: &'de Plan,
    empty: bool,
    input: &'a mut Input<'de>,
    /// In the block that is being read; none when the list is at its end.
    left: Option<usize>,
    count: usize,
}

impl<'a, 'de> Items<'a, 'de> {
    pub(super) fn new(
        decoder: &'de Decoder,
        item: PlanId,
        empty: bool,
        input: &'a mut Input<'de>,
    ) -> Self {
        Self {
            decoder,
            item: &decoder.plans[item],
            empty,
            input,
            left: Some(0),
            count: 0,
        }
    }

    /// Whether there is one more item; a block may have to begin for it.
    #[inline]
    fn more(&mut self) -> Result<bool> {
        let left = match self.left {
            None => return Ok(false),
            Some(0) => self.input.block(self.empty)?,
            Some(left) => left,
        };
        self.left = left.checked_sub(1);
        self.count += usize::from(left > 0);
        Ok(left > 0)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        if self.more()? {
            return Err(DecodeError::new("more items than the type takes"));
        }
        Ok(())
    }

    #[inline]
    fn value<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        seed.deserialize(Deserializer {
            decoder: self.decoder,
            plan: self.item,
            input: self.input,
        })
        .map_err(|error| error.at(self.count - 1))
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.more()? {
            return Ok(None);
        }
        self.value(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.left.map(|left| left.min(MOST_FORESEEN))
    }
}

pub(super) struct MapEntries<'a, 'de>(Items<'a, 'de>);

impl<'a, 'de> MapEntries<'a, 'de> {
    /// An entry has a key, so it always takes bytes.
    pub(super) fn new(decoder: &'de Decoder, value: PlanId, input: &'a mut Input<'de>) -> Self {
        Self(Items::new(decoder, value, false, input))
    }

    pub(super) fn finish(self) -> Result<()> {
        self.0.finish()
    }
}

impl<'de> MapAccess<'de> for &mut MapEntries<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.0.more()? {
            return Ok(None);
        }
        let key = self.0.input.text()?;
        seed.deserialize(Key(key))
            .map(Some)
            .map_err(|error| error.at(self.0.count - 1))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        if self.0.count == 0 {
            return Err(DecodeError::new("the key of a map comes before its value"));
        }
        self.0.value(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.left.map(|left| left.min(MOST_FORESEEN))
    }
}
