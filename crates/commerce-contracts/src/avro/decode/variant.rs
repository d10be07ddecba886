//! Enums: symbols, and unions whose branches carry data.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, EnumAccess, VariantAccess, Visitor};

use super::DecodeError;
use super::deserializer::Deserializer;

/// A variant without data.
pub(super) struct Unit<'de>(pub(super) &'de str);

impl<'de> EnumAccess<'de> for Unit<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let name = seed.deserialize(BorrowedStrDeserializer::<DecodeError>::new(self.0))?;
        Ok((name, self))
    }
}

fn no_data<T>() -> Result<T, DecodeError> {
    Err(DecodeError::new(
        "a variant without data, where the type's has some",
    ))
}

impl<'de> VariantAccess<'de> for Unit<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, DecodeError> {
        no_data()
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, DecodeError> {
        no_data()
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, DecodeError> {
        no_data()
    }
}

/// A branch of a union, whose name is the variant.
pub(super) struct Data<'a, 'de> {
    pub(super) variant: &'de str,
    pub(super) value: Deserializer<'a, 'de>,
}

impl<'de> EnumAccess<'de> for Data<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let name = seed.deserialize(BorrowedStrDeserializer::<DecodeError>::new(self.variant))?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Data<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        de::Deserialize::deserialize(self.value)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        let variant = self.variant;
        seed.deserialize(self.value)
            .map_err(|error| error.at(variant))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        let variant = self.variant;
        de::Deserializer::deserialize_seq(self.value, visitor).map_err(|error| error.at(variant))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let variant = self.variant;
        de::Deserializer::deserialize_map(self.value, visitor).map_err(|error| error.at(variant))
    }
}
