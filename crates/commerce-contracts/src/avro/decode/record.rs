//! Records: fields in the order of the data, then defaults.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess};

use crate::avro::resolve::Step;
use crate::avro::wire::Input;

use super::deserializer::Deserializer;
use super::{DecodeError, Decoder, skip};

type Result<T, E = DecodeError> = std::result::Result<T, E>;

pub(super) struct Fields<'a, 'de> {
    decoder: &'de Decoder,
    steps: &'de [Step],
    input: &'a mut Input<'de>,
    /// The field whose name was told, and whose value was not.
    current: Option<&'de Step>,
}

impl<'a, 'de> Fields<'a, 'de> {
    pub(super) fn new(
        decoder: &'de Decoder,
        steps: &'de [Step],
        input: &'a mut Input<'de>,
    ) -> Self {
        Self {
            decoder,
            steps,
            input,
            current: None,
        }
    }

    /// Passes over what the visitor did not ask for, so that the next value begins where it does.
    #[inline]
    pub(super) fn finish(mut self) -> Result<()> {
        while self.next_name()?.is_some() {
            (&mut self).next_value_seed(std::marker::PhantomData::<IgnoredAny>)?;
        }
        Ok(())
    }

    #[inline]
    fn next_name(&mut self) -> Result<Option<&'de str>> {
        while let Some((step, rest)) = self.steps.split_first() {
            self.steps = rest;
            match step {
                Step::Skip(node) => {
                    skip::value(self.input, self.decoder.writer.nodes(), *node)?;
                }
                Step::Field { name, .. } | Step::Default { name, .. } => {
                    self.current = Some(step);
                    return Ok(Some(name));
                }
            }
        }
        Ok(None)
    }
}

impl<'de> MapAccess<'de> for &mut Fields<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        match self.next_name()? {
            Some(name) => seed
                .deserialize(BorrowedStrDeserializer::<DecodeError>::new(name))
                .map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        match self.current.take() {
            Some(Step::Field { name, plan }) => seed
                .deserialize(Deserializer {
                    decoder: self.decoder,
                    plan: &self.decoder.plans[*plan],
                    input: self.input,
                })
                .map_err(|error| error.at(name)),
            Some(Step::Default { name, plan, bytes }) => seed
                .deserialize(Deserializer {
                    decoder: self.decoder,
                    plan: &self.decoder.plans[*plan],
                    input: &mut Input::new(bytes),
                })
                .map_err(|error| error.at(name)),
            Some(Step::Skip(_)) | None => Err(DecodeError::new(
                "the name of a field comes before its value",
            )),
        }
    }
}
