//! Values of several parts, on their way past the plan.

use std::collections::HashMap;

use serde::ser::{self, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::Serializer as ToValue;

use super::NodeId;
use super::checking::{Checking, Unsure, Verdict};

pub(super) type Seq = <ToValue as Serializer>::SerializeSeq;
pub(super) type TupleVariant = <ToValue as Serializer>::SerializeTupleVariant;
pub(super) type Object = <ToValue as Serializer>::SerializeMap;
pub(super) type StructVariant = <ToValue as Serializer>::SerializeStructVariant;

/// A value of several parts.
pub(super) enum Compound<'a, T> {
    /// Nothing is asked of it.
    Free,
    Items(Checking<'a>),
    Fields {
        check: Checking<'a>,
        properties: &'a HashMap<String, (NodeId, bool)>,
        missing: usize,
        others: Option<NodeId>,
    },
    /// It is written as JSON and given to the validator.
    Whole {
        check: Checking<'a>,
        inner: T,
    },
}

impl<T> Compound<'_, T> {
    fn item<V: Serialize + ?Sized>(
        &mut self,
        value: &V,
        add: impl FnOnce(&mut T, &V) -> Result<(), serde_json::Error>,
    ) -> Verdict {
        match self {
            Self::Free => Ok(()),
            Self::Items(check) => value.serialize(*check),
            Self::Whole { inner, .. } => add(inner, value).map_err(|_| Unsure),
            Self::Fields { .. } => Err(Unsure),
        }
    }

    fn field<V: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &V,
        add: impl FnOnce(&mut T, &'static str, &V) -> Result<(), serde_json::Error>,
    ) -> Verdict {
        match self {
            Self::Free => Ok(()),
            Self::Fields {
                check,
                properties,
                missing,
                others,
            } => match (properties.get(name), others) {
                (Some((node, required)), _) => {
                    *missing = missing.saturating_sub(usize::from(*required));
                    value.serialize(check.at(*node))
                }
                (None, Some(others)) => value.serialize(check.at(*others)),
                (None, None) => Err(Unsure),
            },
            Self::Whole { inner, .. } => add(inner, name, value).map_err(|_| Unsure),
            Self::Items(_) => Err(Unsure),
        }
    }

    fn finish(self, end: impl FnOnce(T) -> Result<Value, serde_json::Error>) -> Verdict {
        match self {
            Self::Free | Self::Items(_) | Self::Fields { missing: 0, .. } => Ok(()),
            Self::Fields { .. } => Err(Unsure),
            Self::Whole { check, inner } => check.ask(&end(inner).map_err(|_| Unsure)?),
        }
    }
}

impl ser::SerializeSeq for Compound<'_, Seq> {
    type Ok = ();
    type Error = Unsure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Verdict {
        self.item(value, ser::SerializeSeq::serialize_element)
    }

    fn end(self) -> Verdict {
        self.finish(ser::SerializeSeq::end)
    }
}

impl ser::SerializeTuple for Compound<'_, Seq> {
    type Ok = ();
    type Error = Unsure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Verdict {
        self.item(value, ser::SerializeTuple::serialize_element)
    }

    fn end(self) -> Verdict {
        self.finish(ser::SerializeTuple::end)
    }
}

impl ser::SerializeTupleStruct for Compound<'_, Seq> {
    type Ok = ();
    type Error = Unsure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Verdict {
        self.item(value, ser::SerializeTupleStruct::serialize_field)
    }

    fn end(self) -> Verdict {
        self.finish(ser::SerializeTupleStruct::end)
    }
}

impl ser::SerializeTupleVariant for Compound<'_, TupleVariant> {
    type Ok = ();
    type Error = Unsure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Verdict {
        self.item(value, ser::SerializeTupleVariant::serialize_field)
    }

    fn end(self) -> Verdict {
        self.finish(ser::SerializeTupleVariant::end)
    }
}

impl ser::SerializeMap for Compound<'_, Object> {
    type Ok = ();
    type Error = Unsure;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Verdict {
        self.item(key, ser::SerializeMap::serialize_key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Verdict {
        self.item(value, ser::SerializeMap::serialize_value)
    }

    fn end(self) -> Verdict {
        self.finish(ser::SerializeMap::end)
    }
}

impl ser::SerializeStruct for Compound<'_, Object> {
    type Ok = ();
    type Error = Unsure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Verdict {
        self.field(name, value, ser::SerializeStruct::serialize_field)
    }

    fn end(self) -> Verdict {
        self.finish(ser::SerializeStruct::end)
    }
}

impl ser::SerializeStructVariant for Compound<'_, StructVariant> {
    type Ok = ();
    type Error = Unsure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Verdict {
        self.field(name, value, ser::SerializeStructVariant::serialize_field)
    }

    fn end(self) -> Verdict {
        self.finish(ser::SerializeStructVariant::end)
    }
}
