//! Serde's view: one value, one plan.

use serde::de::{self, Visitor};
use uuid::Uuid;

use crate::avro::logical::Unit;
use crate::avro::resolve::Plan;
use crate::avro::text;
use crate::avro::wire::Input;

use super::bytes::Numbers;
use super::list::{Items, MapEntries};
use super::record::Fields;
use super::variant::{Data, Unit as UnitVariant};
use super::{DecodeError, Decoder};

type Result<T, E = DecodeError> = std::result::Result<T, E>;

pub(super) struct Deserializer<'a, 'de> {
    pub(super) decoder: &'de Decoder,
    pub(super) plan: &'de Plan,
    pub(super) input: &'a mut Input<'de>,
}

impl<'de> Deserializer<'_, 'de> {
    /// Takes the branch that the data is in, so that the plan is no union.
    #[inline]
    fn settle(&mut self) -> Result<()> {
        loop {
            match self.plan {
                Plan::Union(branches) => {
                    let index = self.input.index(branches.len(), "a branch of a union")?;
                    self.plan = &self.decoder.plans[branches[index].plan];
                }
                Plan::Branch(branch) => self.plan = &self.decoder.plans[branch.plan],
                Plan::Mismatch(reason) => return Err(DecodeError::new(reason.to_string())),
                _ => return Ok(()),
            }
        }
    }

    fn symbol(&mut self, symbols: &'de [Option<Box<str>>]) -> Result<&'de str> {
        let index = self.input.index(symbols.len(), "a symbol of an enum")?;
        symbols[index].as_deref().ok_or_else(|| {
            DecodeError::new("a symbol that the reader's enum does not have, and it has no default")
        })
    }

    fn decimal_bytes(&mut self, size: Option<usize>) -> Result<&'de [u8]> {
        match size {
            Some(size) => self.input.take(size),
            None => self.input.bytes(),
        }
    }

    fn unscaled(&mut self, size: Option<usize>) -> Result<i128> {
        text::from_twos_complement(self.decimal_bytes(size)?)
            .ok_or_else(|| DecodeError::new("a decimal has more than 128 bits"))
    }

    /// The number behind a date or a time.
    #[inline]
    fn number(&mut self) -> Result<i64> {
        match self.plan {
            Plan::Date | Plan::Time(Unit::Millis) => self.input.int(),
            _ => self.input.long(),
        }
    }

    fn whole<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        self.settle()?;
        match self.plan {
            Plan::Long
            | Plan::Timestamp(_)
            | Plan::LocalTimestamp(_)
            | Plan::Date
            | Plan::Time(_) => visitor.visit_i64(self.number()?),
            Plan::Decimal { scale: 0, size } => {
                let number = self.unscaled(*size)?;
                if let Ok(number) = i64::try_from(number) {
                    visitor.visit_i64(number)
                } else if let Ok(number) = u64::try_from(number) {
                    visitor.visit_u64(number)
                } else {
                    visitor.visit_i128(number)
                }
            }
            _ => de::Deserializer::deserialize_any(self, visitor),
        }
    }
}

fn out_of_range() -> DecodeError {
    DecodeError::new("a date or a time is out of range")
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.whole(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Deserializer<'_, 'de> {
    type Error = DecodeError;

    /// The same forms as in JSON: the schema says what they were made of.
    fn is_human_readable(&self) -> bool {
        true
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        self.settle()?;
        match self.plan {
            Plan::Null => visitor.visit_unit(),
            Plan::Boolean => visitor.visit_bool(self.input.boolean()?),
            Plan::Int => visitor.visit_i64(self.input.int()?),
            Plan::Long => visitor.visit_i64(self.input.long()?),
            Plan::Float => visitor.visit_f32(f32::from_le_bytes(self.input.array()?)),
            Plan::Double => visitor.visit_f64(f64::from_le_bytes(self.input.array()?)),
            #[expect(clippy::cast_precision_loss, reason = "what the promotion does")]
            Plan::WholeAsFloat => visitor.visit_f32(self.input.long()? as f32),
            #[expect(clippy::cast_precision_loss, reason = "what the promotion does")]
            Plan::WholeAsDouble => visitor.visit_f64(self.input.long()? as f64),
            Plan::FloatAsDouble => {
                visitor.visit_f64(f64::from(f32::from_le_bytes(self.input.array()?)))
            }
            Plan::Text => visitor.visit_borrowed_str(self.input.text()?),
            Plan::Bytes => visitor.visit_borrowed_bytes(self.input.bytes()?),
            Plan::Fixed(size) => visitor.visit_borrowed_bytes(self.input.take(*size)?),
            Plan::Date => {
                visitor.visit_string(text::date(self.number()?).ok_or_else(out_of_range)?)
            }
            Plan::Time(unit) => {
                visitor.visit_string(text::time(self.number()?, *unit).ok_or_else(out_of_range)?)
            }
            Plan::Timestamp(unit) => {
                let text = text::timestamp(self.number()?, *unit);
                visitor.visit_string(text.ok_or_else(out_of_range)?)
            }
            Plan::LocalTimestamp(unit) => {
                visitor.visit_string(text::local(self.number()?, *unit).ok_or_else(out_of_range)?)
            }
            Plan::Decimal { scale, size } => {
                visitor.visit_string(text::decimal(self.unscaled(*size)?, *scale))
            }
            Plan::UuidBytes => {
                let uuid = Uuid::from_bytes(self.input.array()?);
                visitor.visit_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
            Plan::Enum(symbols) => visitor.visit_borrowed_str(self.symbol(symbols)?),
            Plan::Array { item, empty } => {
                self.input.enter()?;
                let mut items = Items::new(self.decoder, *item, *empty, self.input);
                let value = visitor.visit_seq(&mut items)?;
                items.finish()?;
                self.input.leave();
                Ok(value)
            }
            Plan::Map(value) => {
                self.input.enter()?;
                let mut entries = MapEntries::new(self.decoder, *value, self.input);
                let value = visitor.visit_map(&mut entries)?;
                entries.finish()?;
                self.input.leave();
                Ok(value)
            }
            Plan::Record(steps) => {
                self.input.enter()?;
                let mut fields = Fields::new(self.decoder, steps, self.input);
                let value = visitor.visit_map(&mut fields)?;
                fields.finish()?;
                self.input.leave();
                Ok(value)
            }
            // `settle` went through these.
            Plan::Union(_) | Plan::Branch(_) | Plan::Mismatch(_) => {
                Err(DecodeError::new("a union directly in a union"))
            }
        }
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        self.settle()?;
        match self.plan {
            Plan::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        self.settle()?;
        match self.plan {
            Plan::Decimal { size, .. } => visitor.visit_borrowed_bytes(self.decimal_bytes(*size)?),
            Plan::UuidBytes => visitor.visit_borrowed_bytes(self.input.take(16)?),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        self.settle()?;
        let bytes = match self.plan {
            Plan::Bytes => self.input.bytes()?,
            Plan::Fixed(size) => self.input.take(*size)?,
            _ => return self.deserialize_any(visitor),
        };
        let mut numbers = Numbers::new(bytes);
        let value = visitor.visit_seq(&mut numbers)?;
        numbers.finish()?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let mut name = None;
        loop {
            match self.plan {
                Plan::Union(branches) => {
                    let index = self.input.index(branches.len(), "a branch of a union")?;
                    name = branches[index].name.as_deref();
                    self.plan = &self.decoder.plans[branches[index].plan];
                }
                Plan::Branch(branch) => {
                    name = branch.name.as_deref();
                    self.plan = &self.decoder.plans[branch.plan];
                }
                Plan::Enum(symbols) => {
                    return visitor.visit_enum(UnitVariant(self.symbol(symbols)?));
                }
                Plan::Text => return visitor.visit_enum(UnitVariant(self.input.text()?)),
                Plan::Mismatch(reason) => return Err(DecodeError::new(reason.to_string())),
                _ => break,
            }
        }
        match name {
            Some(variant) => visitor.visit_enum(Data {
                variant,
                value: self,
            }),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        self.settle()?;
        match self.plan {
            Plan::Text => self.input.bytes().map(drop)?,
            Plan::Date | Plan::Time(_) | Plan::Timestamp(_) | Plan::LocalTimestamp(_) => {
                self.number().map(drop)?;
            }
            Plan::Decimal { size, .. } => self.decimal_bytes(*size).map(drop)?,
            Plan::UuidBytes => self.input.take(16).map(drop)?,
            Plan::Enum(symbols) => self
                .input
                .index(symbols.len(), "a symbol of an enum")
                .map(drop)?,
            _ => return self.deserialize_any(visitor),
        }
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str string unit unit_struct map struct identifier
    }
}
