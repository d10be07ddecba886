//! One value on its way past the plan.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::Serializer as ToValue;

use super::compound::{Compound, Object, Seq, StructVariant, TupleVariant};
use super::{NodeId, Plan, Shape};
use crate::short::Short;

/// A value on its way past one part of the plan. Its outcome is `Ok` for what is valid for sure.
#[derive(Clone, Copy)]
pub(super) struct Checking<'a> {
    pub(super) plan: &'a Plan,
    pub(super) node: NodeId,
}

/// The value is not valid, or the plan does not know.
#[derive(Debug)]
pub(super) struct Unsure;

impl fmt::Display for Unsure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the value is not valid for sure")
    }
}

impl std::error::Error for Unsure {}

impl ser::Error for Unsure {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

pub(super) type Verdict = Result<(), Unsure>;

impl<'a> Checking<'a> {
    pub(super) fn at(self, node: NodeId) -> Self {
        Self { node, ..self }
    }

    /// The part for a value that is there.
    fn present(self) -> Self {
        match &self.plan.nodes[self.node].shape {
            Shape::Nullable(inner) => self.at(*inner).present(),
            _ => self,
        }
    }

    fn shape(self) -> &'a Shape {
        &self.plan.nodes[self.node].shape
    }

    /// Asks the validator of this part.
    pub(super) fn ask(self, value: &Value) -> Verdict {
        let node = &self.plan.nodes[self.node];
        let validator = node.validator.get_or_init(|| {
            let mut schema = node.schema.clone();
            if let (Value::Object(schema), Some(definitions)) =
                (&mut schema, &self.plan.definitions)
            {
                schema.insert("$defs".to_owned(), definitions.clone());
            }
            crate::contract::compile(&schema).ok()
        });
        match validator {
            Some(validator) if validator.is_valid(value) => Ok(()),
            _ => Err(Unsure),
        }
    }

    fn integer(self, value: i128) -> Verdict {
        // Wider integers are refused, whatever the schema says.
        if i64::try_from(value).is_err() && u64::try_from(value).is_err() {
            return Err(Unsure);
        }
        let this = self.present();
        match this.shape() {
            Shape::Anything => Ok(()),
            Shape::Integer { min, max } if (*min..=*max).contains(&value) => Ok(()),
            Shape::Other => match (i64::try_from(value), u64::try_from(value)) {
                (Ok(value), _) => this.ask(&value.into()),
                (_, Ok(value)) => this.ask(&value.into()),
                _ => Err(Unsure),
            },
            _ => Err(Unsure),
        }
    }

    fn scalar(self, value: impl FnOnce() -> Value) -> Verdict {
        let this = self.present();
        match this.shape() {
            Shape::Anything => Ok(()),
            Shape::Other => this.ask(&value()),
            _ => Err(Unsure),
        }
    }

    /// A value whose form the plan does not follow.
    fn whole<T>(self, inner: Result<T, serde_json::Error>) -> Result<Compound<'a, T>, Unsure> {
        let check = self.present();
        inner
            .map(|inner| Compound::Whole { check, inner })
            .map_err(|_| Unsure)
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty,)+) => {$(
        fn $method(self, value: $type) -> Verdict {
            self.integer(value.into())
        }
    )+};
}

impl<'a> Serializer for Checking<'a> {
    type Ok = ();
    type Error = Unsure;
    type SerializeSeq = Compound<'a, Seq>;
    type SerializeTuple = Compound<'a, Seq>;
    type SerializeTupleStruct = Compound<'a, Seq>;
    type SerializeTupleVariant = Compound<'a, TupleVariant>;
    type SerializeMap = Compound<'a, Object>;
    type SerializeStruct = Compound<'a, Object>;
    type SerializeStructVariant = Compound<'a, StructVariant>;

    integers! {
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
    }

    fn serialize_bool(self, value: bool) -> Verdict {
        match self.present().shape() {
            Shape::Boolean => Ok(()),
            _ => self.scalar(|| value.into()),
        }
    }

    fn serialize_f32(self, value: f32) -> Verdict {
        self.scalar(|| value.into())
    }

    fn serialize_f64(self, value: f64) -> Verdict {
        // What is no number is written as null.
        if value.is_finite() {
            self.scalar(|| value.into())
        } else {
            self.serialize_unit()
        }
    }

    fn serialize_char(self, value: char) -> Verdict {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Verdict {
        match self.present().shape() {
            Shape::Text(texts) if texts.accept(value) => Ok(()),
            _ => self.scalar(|| value.into()),
        }
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Verdict {
        // Times are written so, and are short: a string of its own for each would be most of what their check costs.
        match Short::of(value) {
            Some(short) => self.serialize_str(short.as_str()),
            None => self.serialize_str(&value.to_string()),
        }
    }

    fn serialize_bytes(self, value: &[u8]) -> Verdict {
        self.scalar(|| value.into())
    }

    fn serialize_none(self) -> Verdict {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Verdict {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Verdict {
        match self.shape() {
            Shape::Anything | Shape::Nullable(_) => Ok(()),
            Shape::Other => self.ask(&Value::Null),
            _ => Err(Unsure),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Verdict {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Verdict {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Verdict {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Verdict {
        let value = ToValue.serialize_newtype_variant(name, index, variant, value);
        let this = self.present();
        this.ask(&value.map_err(|_| Unsure)?)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, Unsure> {
        let this = self.present();
        match this.shape() {
            Shape::Anything => Ok(Compound::Free),
            Shape::Array(items) => Ok(Compound::Items(this.at(*items))),
            _ => this.whole(ToValue.serialize_seq(length)),
        }
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, Unsure> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, Unsure> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, Unsure> {
        self.whole(ToValue.serialize_tuple_variant(name, index, variant, length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, Unsure> {
        match self.present().shape() {
            Shape::Anything => Ok(Compound::Free),
            _ => self.whole(ToValue.serialize_map(length)),
        }
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, Unsure> {
        let check = self.present();
        match check.shape() {
            Shape::Anything => Ok(Compound::Free),
            Shape::Object {
                properties,
                required,
                others,
            } => Ok(Compound::Fields {
                check,
                properties,
                missing: *required,
                others: *others,
            }),
            _ => check.whole(ToValue.serialize_struct(name, length)),
        }
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, Unsure> {
        self.whole(ToValue.serialize_struct_variant(name, index, variant, length))
    }
}
