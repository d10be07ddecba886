//! Checks a value against its schema while it is being serialised, without a copy of it as JSON.
//!
//! The schema is taken apart into what a serialiser can follow: objects, arrays, what may be null, plain texts and numbers with
//! limits. What is left, a pattern or a choice, is checked by `jsonschema` on that part alone. The plan may take a valid value for
//! an invalid one, and is then overruled by the whole validator; the other way round must never be.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde::ser::{self, Serialize, Serializer};
use serde_json::value::Serializer as ToValue;
use serde_json::{Map, Value};

/// A schema, taken apart.
pub(crate) struct Plan {
    nodes: Vec<Node>,
    root: NodeId,
    definitions: Option<Value>,
}

type NodeId = usize;

struct Node {
    shape: Shape,
    schema: Value,
    /// For values whose form the shape does not know. None when the part cannot be compiled by itself.
    validator: OnceLock<Option<Validator>>,
}

enum Shape {
    Anything,
    Boolean,
    Text,
    Integer {
        min: i128,
        max: i128,
    },
    Nullable(NodeId),
    Array(NodeId),
    Object {
        /// The part of each property, and whether it must be there.
        properties: HashMap<String, (NodeId, bool)>,
        required: usize,
        /// The part of all other properties; None where there must be none.
        others: Option<NodeId>,
    },
    /// Only the validator knows.
    Other,
}

impl Plan {
    pub(crate) fn of(schema: &Value) -> Self {
        let mut plan = Self {
            nodes: Vec::new(),
            root: 0,
            definitions: schema.get("$defs").cloned(),
        };
        // A part that is compiled by itself would take a reference to the whole, or to anywhere else, for one to itself.
        plan.root = if refers_elsewhere(schema) {
            plan.push(schema)
        } else {
            plan.node(schema, &mut HashMap::new())
        };
        plan
    }

    /// Whether the value is valid for sure.
    pub(crate) fn accepts<T: Serialize + ?Sized>(&self, value: &T) -> bool {
        let at_root = Checking {
            plan: self,
            node: self.root,
        };
        value.serialize(at_root).is_ok()
    }

    fn node(&mut self, schema: &Value, known: &mut HashMap<String, NodeId>) -> NodeId {
        let mut rules = schema.as_object().cloned().unwrap_or_default();
        rules.retain(|keyword, _| !is_annotation(keyword));
        if let (1, Some(name)) = (
            rules.len(),
            rules
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|target| target.strip_prefix("#/$defs/")),
        ) {
            if let Some(known) = known.get(name) {
                return *known;
            }
            let target = self
                .definitions
                .as_ref()
                .and_then(|definitions| definitions.get(name))
                .cloned();
            if let Some(target) = target {
                // It is known before it is looked into, since it may contain itself.
                let id = self.push(&target);
                known.insert(name.to_owned(), id);
                self.nodes[id].shape = self.shape(&target, known);
                return id;
            }
        }
        let id = self.push(schema);
        self.nodes[id].shape = self.shape(schema, known);
        id
    }

    fn push(&mut self, schema: &Value) -> NodeId {
        self.nodes.push(Node {
            shape: Shape::Other,
            schema: schema.clone(),
            validator: OnceLock::new(),
        });
        self.nodes.len() - 1
    }

    fn shape(&mut self, schema: &Value, known: &mut HashMap<String, NodeId>) -> Shape {
        let Some(rules) = schema.as_object() else {
            return match schema {
                Value::Bool(true) => Shape::Anything,
                _ => Shape::Other,
            };
        };
        let mut rules = rules.clone();
        rules.retain(|keyword, _| !is_annotation(keyword));
        let only = |allowed: &[&str]| {
            rules
                .keys()
                .all(|keyword| allowed.contains(&keyword.as_str()))
        };
        match rules.get("type") {
            None if rules.is_empty() => Shape::Anything,
            None if only(&["anyOf"]) => match rules["anyOf"].as_array().map(Vec::as_slice) {
                Some([inner, null] | [null, inner]) if is_null(null) && !is_null(inner) => {
                    Shape::Nullable(self.node(inner, known))
                }
                _ => Shape::Other,
            },
            Some(Value::Array(kinds)) => match &kinds[..] {
                [kind, null] if null == "null" && kind != "null" && only(&TELL_NOTHING_OF_NULL) => {
                    let mut inner = rules.clone();
                    inner.insert("type".to_owned(), kind.clone());
                    Shape::Nullable(self.node(&Value::Object(inner), known))
                }
                _ => Shape::Other,
            },
            Some(kind) if kind == "boolean" && only(&["type"]) => Shape::Boolean,
            Some(kind) if kind == "string" && only(&["type"]) => Shape::Text,
            Some(kind) if kind == "integer" && only(&["type", "format", "minimum", "maximum"]) => {
                integer(&rules)
            }
            Some(kind) if kind == "array" && only(&["type", "items"]) => {
                let items = rules.get("items").unwrap_or(&Value::Bool(true)).clone();
                Shape::Array(self.node(&items, known))
            }
            Some(kind)
                if kind == "object"
                    && only(&["type", "properties", "required", "additionalProperties"]) =>
            {
                self.object(&rules, known)
            }
            _ => Shape::Other,
        }
    }

    fn object(&mut self, rules: &Map<String, Value>, known: &mut HashMap<String, NodeId>) -> Shape {
        let required: Vec<&str> = rules
            .get("required")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |names| {
                names.iter().filter_map(Value::as_str).collect()
            });
        let mut properties = HashMap::new();
        for (name, schema) in rules
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let part = self.node(schema, known);
            properties.insert(name.clone(), (part, required.contains(&name.as_str())));
        }
        if !required.iter().all(|name| properties.contains_key(*name)) {
            return Shape::Other;
        }
        let others = match rules.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(schema) => Some(self.node(schema, known)),
            None => Some(self.node(&Value::Bool(true), known)),
        };
        Shape::Object {
            required: properties
                .values()
                .filter(|(_, required)| *required)
                .count(),
            properties,
            others,
        }
    }
}

/// What says nothing about which values are valid.
fn is_annotation(keyword: &str) -> bool {
    const KNOWN: [&str; 10] = [
        "$schema",
        "$defs",
        "$comment",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
    ];
    KNOWN.contains(&keyword) || keyword.starts_with("x-")
}

/// Keywords that a null, where `type` lets it in, cannot break.
const TELL_NOTHING_OF_NULL: [&str; 18] = [
    "type",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "required",
    "additionalProperties",
    "propertyNames",
];

/// Whether anything in it refers to other places than `$defs`.
fn refers_elsewhere(schema: &Value) -> bool {
    match schema {
        Value::Object(rules) => rules.iter().any(|(keyword, rule)| {
            let elsewhere = match keyword.as_str() {
                "$ref" => rule
                    .as_str()
                    .is_some_and(|target| !target.starts_with("#/$defs/")),
                "$dynamicRef" | "$id" => rule.is_string(),
                _ => false,
            };
            elsewhere || refers_elsewhere(rule)
        }),
        Value::Array(parts) => parts.iter().any(refers_elsewhere),
        _ => false,
    }
}

fn is_null(schema: &Value) -> bool {
    schema["type"] == "null"
}

fn integer(rules: &Map<String, Value>) -> Shape {
    // These formats tell a size and are no rule of JSON Schema; the limits beside them are.
    let sizes = rules.get("format").is_none_or(|format| {
        format
            .as_str()
            .is_some_and(|format| format.trim_start_matches('u').starts_with("int"))
    });
    let limit = |keyword: &str, none: i128| match rules.get(keyword) {
        None => Some(none),
        Some(limit) => limit
            .as_i64()
            .map(i128::from)
            .or_else(|| limit.as_u64().map(i128::from)),
    };
    match (limit("minimum", i128::MIN), limit("maximum", i128::MAX)) {
        (Some(min), Some(max)) if sizes => Shape::Integer { min, max },
        _ => Shape::Other,
    }
}

/// A value on its way past one part of the plan. Its outcome is `Ok` for what is valid for sure.
#[derive(Clone, Copy)]
struct Checking<'a> {
    plan: &'a Plan,
    node: NodeId,
}

/// The value is not valid, or the plan does not know.
#[derive(Debug)]
struct Unsure;

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

type Verdict = Result<(), Unsure>;

impl<'a> Checking<'a> {
    fn at(self, node: NodeId) -> Self {
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
    fn ask(self, value: &Value) -> Verdict {
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

type Seq = <ToValue as Serializer>::SerializeSeq;
type TupleVariant = <ToValue as Serializer>::SerializeTupleVariant;
type Object = <ToValue as Serializer>::SerializeMap;
type StructVariant = <ToValue as Serializer>::SerializeStructVariant;

/// A value of several parts.
enum Compound<'a, T> {
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
            Shape::Text => Ok(()),
            _ => self.scalar(|| value.into()),
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
