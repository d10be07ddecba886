//! The Avro schema of a Rust type.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::key_field::{KeyField, Unfit};
use super::keys;
use super::name::Name;
use super::parse::SchemaError;
use super::schema::Schema;
use crate::personal::MARK;

/// A type that has an Avro schema: the same fields, documentation and optionality as its JSON. Derive it with
/// `#[derive(AvroSchema)]`, beside serde's own derives, whose attributes it follows.
///
/// | Rust | Avro | |
/// |---|---|---|
/// | `i8` to `i32`, `u8`, `u16` | `int` | |
/// | `i64`, `u32` | `long` | |
/// | `u64` | `bytes`, `decimal(20, 0)` | exact in every language; a `long` ends at half of it |
/// | `String`, `char` | `string` | |
/// | `Uuid` | `string`, `uuid` | |
/// | `DateTime` | `long`, `timestamp-micros` | finer digits are cut off |
/// | `NaiveDateTime`, `NaiveDate`, `NaiveTime` | `local-timestamp-micros`, `date`, `time-micros` | |
/// | `Vec<u8>` | `bytes` | |
/// | other lists and sets | `array` | |
/// | maps | `map` | keys are texts, as in JSON |
/// | `Option<T>` | `["null", T]`, default `null` | |
/// | struct with named fields | `record` | |
/// | newtype, `Box` and its like | as what is in it | |
/// | newtype with `#[avro(decimal(precision = 12, scale = 2))]`, `#[avro(timestamp_millis)]`, … | that logical type | see the derive |
/// | enum of unit variants | `enum` | `#[serde(other)]` marks the default symbol; an `alias` is one more symbol, that is only read |
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no Avro schema",
    note = "derive it with `#[derive(AvroSchema)]`, from `commerce_contracts::avro`; `#[derive(Event)]` does it for the event itself",
    note = "Avro has no type for tuples and for JSON of any kind: declare a struct with named fields"
)]
pub trait AvroSchema {
    /// Whether all of it tells about a person, so that a field of this type needs no mark: a newtype that derives
    /// [`PersonalData`](crate::PersonalData), and lists and options of it.
    const PERSONAL: bool = false;

    /// Why it cannot be an ordering key.
    #[doc(hidden)]
    const UNFIT: Option<Unfit> = None;

    /// The fields through which the path of an ordering key can lead.
    #[doc(hidden)]
    const FIELDS: &'static [KeyField] = &[];

    /// The schema, where `definitions` knows the named types that are already written.
    fn avro_schema(definitions: &mut Definitions) -> TypeSchema;

    /// The schema of a list of these.
    fn avro_list_schema(definitions: &mut Definitions) -> TypeSchema {
        let items = Self::avro_schema(definitions);
        TypeSchema(json!({"type": "array", "items": items.0}))
    }

    /// What the JSON of a value is as the default of a field.
    fn avro_default(json: Value) -> Value {
        json
    }

    /// The same of a list.
    fn avro_list_default(json: Value) -> Value {
        json
    }
}

/// The schema of a type, whole or as a reference.
#[derive(Debug)]
pub struct TypeSchema(pub(super) Value);

impl TypeSchema {
    /// Of the JSON that a schema has at this place, for implementations by hand: `"string"`.
    pub fn new(json: impl Into<Value>) -> Self {
        Self(json.into())
    }
}

impl Schema {
    /// The schema of a type. It fails when two types have one name, or a default is none in Avro.
    pub fn of<T: AvroSchema + ?Sized>() -> Result<Self, SchemaError> {
        Self::from_json(&T::avro_schema(&mut Definitions::default()).0)
    }
}

/// The named types that are written so far: each is written once, and referred to after that.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Full names, by the type's own name in Rust.
    written: HashMap<&'static str, String>,
    namespace: String,
}

/// How a type calls itself.
#[derive(Clone, Copy, Debug, Default)]
#[doc(hidden)]
pub struct Naming {
    pub name: &'static str,
    pub namespace: Option<&'static str>,
    pub aliases: &'static [&'static str],
    pub doc: &'static str,
}

/// How a field calls itself.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct FieldNaming {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub doc: &'static str,
    pub personal: bool,
}

impl FieldNaming {
    fn of<T: AvroSchema>(mut self) -> Self {
        self.personal |= T::PERSONAL;
        self
    }
}

impl Definitions {
    fn named<T: ?Sized>(
        &mut self,
        naming: Naming,
        body: impl FnOnce(&mut Self, &mut Value),
    ) -> TypeSchema {
        let rust = std::any::type_name::<T>();
        if let Some(full) = self.written.get(rust) {
            return TypeSchema(full.as_str().into());
        }
        let outer = self.namespace.clone();
        let mut json = json!({"name": naming.name});
        if let Some(namespace) = naming.namespace {
            json["namespace"] = namespace.into();
            namespace.clone_into(&mut self.namespace);
        }
        // A name that is none is the parser's to report.
        let full = Name::resolve(naming.name, &self.namespace)
            .map_or_else(|| naming.name.to_owned(), |name| name.full().to_owned());
        self.written.insert(rust, full);
        describe(&mut json, naming.aliases, naming.doc);
        body(self, &mut json);
        self.namespace = outer;
        TypeSchema(json)
    }

    /// A record of the fields that `fields` adds. Written by the derive.
    #[doc(hidden)]
    pub fn record<T: ?Sized>(
        &mut self,
        naming: Naming,
        fields: impl FnOnce(&mut FieldList<'_>),
    ) -> TypeSchema {
        self.named::<T>(naming, |definitions, json| {
            let mut list = FieldList {
                definitions,
                fields: Vec::new(),
            };
            fields(&mut list);
            json["fields"] = Value::Array(list.fields);
            json["type"] = "record".into();
        })
    }

    /// An enum of symbols. Written by the derive.
    #[doc(hidden)]
    pub fn enumeration<T: ?Sized>(
        &mut self,
        naming: Naming,
        symbols: &[&str],
        default: Option<&str>,
    ) -> TypeSchema {
        self.named::<T>(naming, |_, json| {
            json["symbols"] = symbols.into();
            json["type"] = "enum".into();
            if let Some(default) = default {
                json["default"] = default.into();
            }
        })
    }
}

/// The fields of a record that is being written.
#[doc(hidden)]
#[derive(Debug)]
pub struct FieldList<'a> {
    definitions: &'a mut Definitions,
    fields: Vec<Value>,
}

impl FieldList<'_> {
    /// A field that always has a value; what may be null is null when it is missing.
    pub fn field<T: AvroSchema>(&mut self, naming: FieldNaming) {
        let naming = naming.of::<T>();
        let schema = T::avro_schema(self.definitions).0;
        let default = (schema[0] == "null").then_some(Value::Null);
        self.push(naming, schema, default);
    }

    /// A field that has a value of its own when it is missing.
    pub fn field_with_default<T: AvroSchema + Serialize>(
        &mut self,
        naming: FieldNaming,
        default: &T,
    ) {
        let naming = naming.of::<T>();
        let schema = T::avro_schema(self.definitions).0;
        // A value that JSON cannot hold is no default: the parser tells which field it is.
        let json = serde_json::to_value(default).unwrap_or(json!({"not": "JSON"}));
        self.push(naming, schema, Some(T::avro_default(json)));
    }

    fn push(&mut self, naming: FieldNaming, schema: Value, default: Option<Value>) {
        let mut json = json!({"name": naming.name});
        json["type"] = schema;
        describe(&mut json, naming.aliases, naming.doc);
        if naming.personal {
            json[MARK] = true.into();
        }
        if let Some(default) = default {
            json["default"] = default;
        }
        self.fields.push(json);
    }
}

fn describe(json: &mut Value, aliases: &[&str], doc: &str) {
    if !aliases.is_empty() {
        json["aliases"] = aliases.into();
    }
    if !doc.is_empty() {
        json["doc"] = doc.into();
    }
}

macro_rules! schemas {
    ($($($type:ty),+ => $schema:expr, $unfit:expr;)+) => {$($(
        impl AvroSchema for $type {
            const UNFIT: Option<Unfit> = $unfit;

            fn avro_schema(_: &mut Definitions) -> TypeSchema {
                TypeSchema($schema)
            }
        }
    )+)+};
}

schemas! {
    bool => json!("boolean"), None;
    i8, i16, i32, u16 => json!("int"), None;
    i64, u32 => json!("long"), None;
    f32 => json!("float"), Some(Unfit::Float);
    f64 => json!("double"), Some(Unfit::Float);
    String, str, char => json!("string"), None;
    Uuid => json!({"type": "string", "logicalType": "uuid"}), None;
    NaiveDate => json!({"type": "int", "logicalType": "date"}), None;
    NaiveTime => json!({"type": "long", "logicalType": "time-micros"}), None;
    NaiveDateTime => json!({"type": "long", "logicalType": "local-timestamp-micros"}), None;
}

impl<Tz: TimeZone> AvroSchema for DateTime<Tz> {
    fn avro_schema(_: &mut Definitions) -> TypeSchema {
        TypeSchema(json!({"type": "long", "logicalType": "timestamp-micros"}))
    }
}

impl AvroSchema for u8 {
    fn avro_schema(_: &mut Definitions) -> TypeSchema {
        TypeSchema(json!("int"))
    }

    fn avro_list_schema(_: &mut Definitions) -> TypeSchema {
        TypeSchema(json!("bytes"))
    }

    fn avro_list_default(json: Value) -> Value {
        let bytes: Option<String> = json.as_array().and_then(|list| {
            list.iter()
                .map(|byte| u8::try_from(byte.as_u64()?).ok().map(char::from))
                .collect()
        });
        bytes.map_or(json, Value::String)
    }
}

impl AvroSchema for u64 {
    fn avro_schema(_: &mut Definitions) -> TypeSchema {
        TypeSchema(json!({"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 0}))
    }

    fn avro_default(json: Value) -> Value {
        let Some(number) = json.as_u64() else {
            return json;
        };
        let (bytes, start) = super::text::shortest(number.into());
        bytes[start..]
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
            .into()
    }
}

impl<T: AvroSchema> AvroSchema for Option<T> {
    const PERSONAL: bool = T::PERSONAL;
    const UNFIT: Option<Unfit> = Some(Unfit::Optional);

    fn avro_schema(definitions: &mut Definitions) -> TypeSchema {
        let inner = T::avro_schema(definitions);
        TypeSchema(json!(["null", inner.0]))
    }
}

macro_rules! lists {
    ($($type:ty),+) => {$(
        impl<T: AvroSchema> AvroSchema for $type {
            const PERSONAL: bool = T::PERSONAL;
            const UNFIT: Option<Unfit> = Some(Unfit::Many);

            fn avro_schema(definitions: &mut Definitions) -> TypeSchema {
                T::avro_list_schema(definitions)
            }

            fn avro_default(json: Value) -> Value {
                T::avro_list_default(json)
            }
        }
    )+};
}

lists!(Vec<T>, VecDeque<T>, BTreeSet<T>);

impl<T: AvroSchema, S> AvroSchema for HashSet<T, S> {
    const PERSONAL: bool = T::PERSONAL;
    const UNFIT: Option<Unfit> = Some(Unfit::Many);

    fn avro_schema(definitions: &mut Definitions) -> TypeSchema {
        T::avro_list_schema(definitions)
    }

    fn avro_default(json: Value) -> Value {
        T::avro_list_default(json)
    }
}

impl<T: AvroSchema, const N: usize> AvroSchema for [T; N] {
    const PERSONAL: bool = T::PERSONAL;
    const UNFIT: Option<Unfit> = Some(Unfit::Many);

    fn avro_schema(definitions: &mut Definitions) -> TypeSchema {
        T::avro_list_schema(definitions)
    }

    fn avro_default(json: Value) -> Value {
        T::avro_list_default(json)
    }
}

impl<K: JsonSchema, V: AvroSchema> AvroSchema for BTreeMap<K, V> {
    const PERSONAL: bool = V::PERSONAL;
    const UNFIT: Option<Unfit> = Some(Unfit::Many);

    fn avro_schema(definitions: &mut Definitions) -> TypeSchema {
        let values = V::avro_schema(definitions);
        let mut map = json!({"type": "map", "values": values.0});
        if let Some(rules) = keys::rules::<K>() {
            map[keys::KEYS] = rules;
        }
        TypeSchema(map)
    }
}

impl<K: JsonSchema, V: AvroSchema, S> AvroSchema for HashMap<K, V, S> {
    const PERSONAL: bool = V::PERSONAL;
    const UNFIT: Option<Unfit> = Some(Unfit::Many);

    fn avro_schema(definitions: &mut Definitions) -> TypeSchema {
        BTreeMap::<K, V>::avro_schema(definitions)
    }
}

macro_rules! transparent {
    ($($type:ty),+) => {$(
        impl<T: AvroSchema + ?Sized> AvroSchema for $type {
            const PERSONAL: bool = T::PERSONAL;
            const UNFIT: Option<Unfit> = T::UNFIT;
            const FIELDS: &'static [KeyField] = T::FIELDS;

            fn avro_schema(definitions: &mut Definitions) -> TypeSchema {
                T::avro_schema(definitions)
            }

            fn avro_default(json: Value) -> Value {
                T::avro_default(json)
            }
        }
    )+};
}

transparent!(Box<T>, Rc<T>, Arc<T>, &T);

impl<T: AvroSchema + ToOwned + ?Sized> AvroSchema for Cow<'_, T> {
    const PERSONAL: bool = T::PERSONAL;
    const UNFIT: Option<Unfit> = T::UNFIT;
    const FIELDS: &'static [KeyField] = T::FIELDS;

    fn avro_schema(definitions: &mut Definitions) -> TypeSchema {
        T::avro_schema(definitions)
    }

    fn avro_default(json: Value) -> Value {
        T::avro_default(json)
    }
}
