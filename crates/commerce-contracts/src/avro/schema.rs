//! The model of a schema: a flat list of nodes that refer to each other, so that a type may contain itself.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use super::logical::Logical;
use super::name::Name;
use super::parse::{self, SchemaError};
use super::{canonical, print};

/// An Avro schema, parsed and checked; cloning shares it.
///
/// It is ready to encode by ([`Schema::encode`](Schema::encode)); a [`Decoder`](super::Decoder) reads with two of them.
#[derive(Clone)]
pub struct Schema {
    inner: Arc<Inner>,
}

struct Inner {
    nodes: Vec<Node>,
    root: NodeId,
    fingerprint: u64,
}

/// The place of a node in the list.
pub(crate) type NodeId = usize;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) logical: Option<Logical>,
    /// The name of a logical type that is not read here.
    pub(crate) foreign: Option<String>,
    /// What the keys of a map are beyond texts, as JSON Schema says it; told by types alone.
    pub(crate) keys: Option<Value>,
    /// A value of it takes no bytes, so that no input bounds how many of them there are.
    pub(crate) empty: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Record(Record),
    Enum(Enumeration),
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Fixed(Fixed),
}

#[derive(Debug)]
pub(crate) struct Naming {
    pub(crate) name: Name,
    pub(crate) aliases: Vec<Name>,
    pub(crate) doc: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) naming: Naming,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) doc: Option<String>,
    /// It tells about a person: `"x-personal": true`.
    pub(crate) personal: bool,
    pub(crate) node: NodeId,
    pub(crate) default: Option<FieldDefault>,
}

#[derive(Debug)]
pub(crate) struct FieldDefault {
    pub(crate) json: Value,
    /// The same in Avro's binary form, by the schema of the field.
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Enumeration {
    pub(crate) naming: Naming,
    pub(crate) symbols: Vec<String>,
    /// The place of the default symbol.
    pub(crate) default: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) naming: Naming,
    pub(crate) size: usize,
}

impl Schema {
    /// Reads a schema from its JSON form, checking names, references, unions and defaults.
    pub fn parse(json: &str) -> Result<Self, SchemaError> {
        let value = serde_json::from_str(json).map_err(|error| SchemaError::not_json(&error))?;
        Self::from_json(&value)
    }

    /// As [`Schema::parse`], of JSON that is already read.
    pub fn from_json(json: &Value) -> Result<Self, SchemaError> {
        let (nodes, root) = parse::parse(json)?;
        let fingerprint = canonical::rabin(canonical::form(&nodes, root).as_bytes());
        Ok(Self {
            inner: Arc::new(Inner {
                nodes,
                root,
                fingerprint,
            }),
        })
    }

    /// The schema as JSON: each named type is written where it is first used and referred to after that.
    pub fn to_json(&self) -> Value {
        print::schema(self.nodes(), self.root())
    }

    /// The Parsing Canonical Form: two schemas with the same one describe the same bytes.
    pub fn canonical_form(&self) -> String {
        canonical::form(self.nodes(), self.root())
    }

    /// The CRC-64-AVRO (Rabin) fingerprint of the canonical form, which single-object encoding carries.
    pub fn fingerprint(&self) -> u64 {
        self.inner.fingerprint
    }

    /// The SHA-256 fingerprint of the canonical form.
    pub fn sha256(&self) -> [u8; 32] {
        canonical::sha256(self.canonical_form().as_bytes())
    }

    /// The name of the type, when it is a record, an enum or a fixed.
    pub fn name(&self) -> Option<&Name> {
        self.nodes()[self.root()].name()
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.inner.nodes
    }

    pub(crate) fn root(&self) -> NodeId {
        self.inner.root
    }
}

impl FromStr for Schema {
    type Err = SchemaError;

    fn from_str(json: &str) -> Result<Self, Self::Err> {
        Self::parse(json)
    }
}

/// Equal when they are written as the same JSON, documentation and defaults included.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || self.to_json() == other.to_json()
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(formatter)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Schema({self})")
    }
}

impl Node {
    pub(crate) fn naming(&self) -> Option<&Naming> {
        match &self.kind {
            Kind::Record(record) => Some(&record.naming),
            Kind::Enum(enumeration) => Some(&enumeration.naming),
            Kind::Fixed(fixed) => Some(&fixed.naming),
            _ => None,
        }
    }

    pub(crate) fn name(&self) -> Option<&Name> {
        self.naming().map(|naming| &naming.name)
    }

    /// What tells it from the other branches of a union, without the namespace: `string`, `Money`.
    pub(crate) fn branch_name(&self) -> &str {
        self.name().map_or_else(|| self.kind.name(), Name::simple)
    }

    /// What it is, for messages: `record shop.Order`, `long (timestamp-micros)`.
    pub(crate) fn describe(&self) -> String {
        let kind = self.kind.name();
        let named = self
            .name()
            .map_or_else(|| kind.to_owned(), |name| format!("{kind} {name}"));
        match self.logical {
            Some(logical) => format!("{named} ({})", logical.describe()),
            None => named,
        }
    }
}

impl Kind {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Record(_) => "record",
            Self::Enum(_) => "enum",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Fixed(_) => "fixed",
        }
    }
}
