//! From JSON to the model of a schema.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::logical::{self, Logical};
use super::name::{Name, is_identifier};
use super::schema::{Enumeration, Field, FieldDefault, Fixed, Kind, Naming, Node, NodeId, Record};
use super::{default, keys};
use crate::personal::MARK;

/// Schemas inside schemas. Deeper ones are refused, so that none exhausts the stack.
const DEEPEST: usize = 100;

/// Why JSON is not a schema, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", if pointer.is_empty() { "the schema" } else { pointer })]
pub struct SchemaError {
    pointer: String,
    reason: String,
}

impl SchemaError {
    /// The place in the schema, as a JSON pointer; empty for the whole.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What is wrong there.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn not_json(error: &serde_json::Error) -> Self {
        Self::of_whole(format!("not JSON: {error}"))
    }

    pub(crate) fn of_whole(reason: String) -> Self {
        Self {
            pointer: String::new(),
            reason,
        }
    }
}

type Result<T, E = SchemaError> = std::result::Result<T, E>;

/// The nodes of a schema, and which of them is the whole.
pub(crate) fn parse(json: &Value) -> Result<(Vec<Node>, NodeId)> {
    let mut parser = Parser::default();
    let root = parser.schema(json, "", &Place::Root)?;
    parser.mark_empty();
    parser.check_defaults()?;
    Ok((parser.nodes, root))
}

/// A schema whose defaults nobody looked at: nothing can be read by it, and the compatibility checker says what is wrong with them.
#[cfg(feature = "compatibility")]
#[derive(Debug)]
pub(crate) struct Unchecked {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
    /// Where each node is, as a JSON pointer.
    pub(crate) pointers: Vec<String>,
}

#[cfg(feature = "compatibility")]
impl Unchecked {
    pub(crate) fn parse(json: &Value) -> Result<Self> {
        let mut parser = Parser::default();
        let root = parser.schema(json, "", &Place::Root)?;
        parser.put_defaults();
        Ok(Self {
            nodes: parser.nodes,
            root,
            pointers: parser.pointers,
        })
    }
}

/// Where the parser is: a list of segments that lives on the stack.
enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(parent, key) => {
                format!(
                    "{}/{}",
                    parent.pointer(),
                    key.replace('~', "~0").replace('/', "~1")
                )
            }
            Self::Index(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }

    fn error(&self, reason: impl Into<String>) -> SchemaError {
        SchemaError {
            pointer: self.pointer(),
            reason: reason.into(),
        }
    }
}

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    /// Where each of them is.
    pointers: Vec<String>,
    /// Schemas inside schemas around what is read.
    depth: usize,
    names: HashMap<Name, NodeId>,
    /// Record, field, place and value of each default: checked when all types are known.
    defaults: Vec<(NodeId, usize, String, Value)>,
}

impl Parser {
    fn add(&mut self, kind: Kind, place: &Place<'_>) -> NodeId {
        self.pointers.push(place.pointer());
        self.nodes.push(Node {
            kind,
            logical: None,
            foreign: None,
            keys: None,
            empty: false,
        });
        self.nodes.len() - 1
    }

    fn schema(&mut self, json: &Value, namespace: &str, place: &Place<'_>) -> Result<NodeId> {
        if self.depth > DEEPEST {
            return Err(place.error("the schema is nested too deeply"));
        }
        self.depth += 1;
        let id = match json {
            Value::String(name) => self.named(name, namespace, place),
            Value::Array(branches) => self.union(branches, namespace, place),
            Value::Object(object) => self.object(object, namespace, place),
            _ => Err(place.error("a schema is a name, a list of branches (a union) or an object")),
        };
        self.depth -= 1;
        id
    }

    /// A primitive type, or a type that was defined before.
    fn named(&mut self, text: &str, namespace: &str, place: &Place<'_>) -> Result<NodeId> {
        if let Some(kind) = primitive(text) {
            return Ok(self.add(kind, place));
        }
        if matches!(
            text,
            "record" | "error" | "enum" | "array" | "map" | "fixed"
        ) {
            return Err(place.error(format!(
                "`{text}` needs attributes: write an object, {{\"type\": \"{text}\", …}}"
            )));
        }
        // Without a type of that name around it, a name alone may mean one that has no namespace: Java reads it so too.
        let known = |namespace| {
            Name::resolve(text, namespace).and_then(|name| self.names.get(&name).copied())
        };
        known(namespace).or_else(|| known("")).ok_or_else(|| {
            place.error(format!(
                "no type `{text}` is defined before this place: define it where it is first used, and refer to it by its full name from another namespace"
            ))
        })
    }

    fn union(&mut self, branches: &[Value], namespace: &str, place: &Place<'_>) -> Result<NodeId> {
        let mut ids: Vec<NodeId> = Vec::with_capacity(branches.len());
        let mut types: HashSet<String> = HashSet::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            let place = Place::Index(place, index);
            let id = self.schema(branch, namespace, &place)?;
            let node = &self.nodes[id];
            if matches!(node.kind, Kind::Union(_)) {
                return Err(place
                    .error("a union directly in a union: move its branches into the outer one"));
            }
            // No type is named like one that needs no name.
            let of = node.name().map_or(node.kind.name(), Name::full);
            if !types.insert(of.to_owned()) {
                return Err(place.error(format!(
                    "the union already has a branch of type {of}, and data could not tell them apart"
                )));
            }
            ids.push(id);
        }
        Ok(self.add(Kind::Union(ids), place))
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        place: &Place<'_>,
    ) -> Result<NodeId> {
        let at_type = Place::Key(place, "type");
        let id = match object.get("type") {
            None => return Err(place.error("an object needs its `type`")),
            Some(Value::String(text)) => match text.as_str() {
                "record" | "error" => self.record(object, namespace, place)?,
                "enum" => self.enumeration(object, namespace, place)?,
                "fixed" => self.fixed(object, namespace, place)?,
                "array" => {
                    let items = self.child(object, "items", namespace, place)?;
                    self.add(Kind::Array(items), place)
                }
                "map" => {
                    let values = self.child(object, "values", namespace, place)?;
                    self.add(Kind::Map(values), place)
                }
                _ => match primitive(text) {
                    Some(kind) => self.add(kind, place),
                    // A reference: a logical type would change the type that it refers to.
                    None => return self.named(text, namespace, &at_type),
                },
            },
            Some(nested @ (Value::Object(_) | Value::Array(_))) => {
                return self.schema(nested, namespace, &at_type);
            }
            Some(_) => {
                return Err(at_type.error("a type is a name, a list of branches or an object"));
            }
        };
        self.nodes[id].logical = Logical::read(object, &self.nodes[id].kind);
        self.nodes[id].foreign = logical::foreign(object);
        self.nodes[id].keys = object.get(keys::KEYS).cloned();
        Ok(id)
    }

    fn child(
        &mut self,
        object: &Map<String, Value>,
        key: &str,
        namespace: &str,
        place: &Place<'_>,
    ) -> Result<NodeId> {
        let child = object
            .get(key)
            .ok_or_else(|| place.error(format!("`{key}` is missing")))?;
        self.schema(child, namespace, &Place::Key(place, key))
    }

    fn record(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        place: &Place<'_>,
    ) -> Result<NodeId> {
        let naming = naming(object, namespace, place)?;
        let namespace = naming.name.namespace().to_owned();
        // Its fields may refer to it, so it is known before them.
        let id = self.define(
            Kind::Record(Record {
                naming,
                fields: Vec::new(),
            }),
            place,
        )?;
        let place = Place::Key(place, "fields");
        let Some(Value::Array(list)) = object.get("fields") else {
            return Err(place.error("a record needs the list of its fields"));
        };
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        let mut names: HashSet<String> = HashSet::with_capacity(list.len());
        for (index, field) in list.iter().enumerate() {
            let place = Place::Index(&place, index);
            let Value::Object(field) = field else {
                return Err(place.error("a field is an object with `name` and `type`"));
            };
            let read = self.field(field, &namespace, &place)?;
            if !names.insert(read.name.clone()) {
                return Err(place.error(format!("the record already has a field `{}`", read.name)));
            }
            if let Some(default) = field.get("default") {
                let pointer = Place::Key(&place, "default").pointer();
                self.defaults.push((id, index, pointer, default.clone()));
            }
            fields.push(read);
        }
        if let Kind::Record(record) = &mut self.nodes[id].kind {
            record.fields = fields;
        }
        Ok(id)
    }

    fn field(
        &mut self,
        field: &Map<String, Value>,
        namespace: &str,
        place: &Place<'_>,
    ) -> Result<Field> {
        let name = match field.get("name") {
            Some(Value::String(name)) if is_identifier(name) => name.clone(),
            Some(_) => return Err(Place::Key(place, "name").error(NOT_A_NAME)),
            None => return Err(place.error("a field needs its `name`")),
        };
        if let Some(order) = field.get("order")
            && !matches!(order.as_str(), Some("ascending" | "descending" | "ignore"))
        {
            return Err(
                Place::Key(place, "order").error("`order` is ascending, descending or ignore")
            );
        }
        let aliases = aliases(field, place, |alias| {
            is_identifier(alias).then(|| alias.to_owned())
        })?;
        Ok(Field {
            name,
            aliases,
            doc: doc(field, place)?,
            personal: field.get(MARK) == Some(&Value::Bool(true)),
            node: self.child(field, "type", namespace, place)?,
            default: None,
        })
    }

    fn enumeration(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        place: &Place<'_>,
    ) -> Result<NodeId> {
        let naming = naming(object, namespace, place)?;
        let at_symbols = Place::Key(place, "symbols");
        let Some(Value::Array(list)) = object.get("symbols") else {
            return Err(at_symbols.error("an enum needs the list of its symbols"));
        };
        let mut symbols: Vec<String> = Vec::with_capacity(list.len());
        let mut known: HashSet<&str> = HashSet::with_capacity(list.len());
        for (index, symbol) in list.iter().enumerate() {
            let place = Place::Index(&at_symbols, index);
            match symbol {
                Value::String(symbol) if is_identifier(symbol) => {
                    if !known.insert(symbol) {
                        return Err(place.error(format!("the symbol `{symbol}` is there twice")));
                    }
                    symbols.push(symbol.clone());
                }
                _ => return Err(place.error(NOT_A_NAME)),
            }
        }
        let default = match object.get("default") {
            None => None,
            Some(default) => Some(
                symbols
                    .iter()
                    .position(|symbol| default.as_str() == Some(symbol))
                    .ok_or_else(|| {
                        Place::Key(place, "default").error("the default is not one of the symbols")
                    })?,
            ),
        };
        self.define(
            Kind::Enum(Enumeration {
                naming,
                symbols,
                default,
            }),
            place,
        )
    }

    fn fixed(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        place: &Place<'_>,
    ) -> Result<NodeId> {
        let naming = naming(object, namespace, place)?;
        let size = object
            .get("size")
            .and_then(Value::as_u64)
            .and_then(|size| i32::try_from(size).ok())
            .and_then(|size| usize::try_from(size).ok())
            .ok_or_else(|| {
                Place::Key(place, "size").error("a fixed needs its size in bytes, 0 to 2147483647")
            })?;
        self.define(Kind::Fixed(Fixed { naming, size }), place)
    }

    fn define(&mut self, kind: Kind, place: &Place<'_>) -> Result<NodeId> {
        let id = self.add(kind, place);
        if let Some(name) = self.nodes[id].name().cloned() {
            if primitive(name.full()).is_some() {
                return Err(Place::Key(place, "name")
                    .error(format!("`{name}` is a primitive type: choose another name")));
            }
            if self.names.contains_key(&name) {
                return Err(Place::Key(place, "name").error(format!(
                    "`{name}` is already defined: refer to it by its name instead"
                )));
            }
            self.names.insert(name, id);
        }
        Ok(id)
    }

    /// Finds the types whose values take no bytes: null, a fixed of size 0, and records of nothing else.
    fn mark_empty(&mut self) {
        // A record that contains itself without a choice has no value at all; taking it for empty only limits it.
        for node in &mut self.nodes {
            node.empty = match &node.kind {
                Kind::Null | Kind::Record(_) => true,
                Kind::Fixed(fixed) => fixed.size == 0,
                _ => false,
            };
        }
        // A type that takes bytes makes those that contain it take some: until nothing changes.
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for id in 0..self.nodes.len() {
                let Kind::Record(record) = &self.nodes[id].kind else {
                    continue;
                };
                let takes_bytes = |field: &Field| !self.nodes[field.node].empty;
                if self.nodes[id].empty && record.fields.iter().any(takes_bytes) {
                    self.nodes[id].empty = false;
                    changed = true;
                }
            }
        }
    }

    /// Puts each default into its field, as it is written.
    fn put_defaults(&mut self) -> Vec<(NodeId, usize, String)> {
        let mut places = Vec::with_capacity(self.defaults.len());
        for (record, field, pointer, json) in std::mem::take(&mut self.defaults) {
            if let Kind::Record(record) = &mut self.nodes[record].kind {
                record.fields[field].default = Some(FieldDefault {
                    json,
                    bytes: Vec::new(),
                });
            }
            places.push((record, field, pointer));
        }
        places
    }

    fn check_defaults(&mut self) -> Result<()> {
        // The defaults of nested records may fill in for what a default leaves out, so all JSON is there before any is checked.
        let places = self.put_defaults();
        let mut left = default::MOST_VALUES;
        for (record, field, pointer) in places {
            let Kind::Record(found) = &self.nodes[record].kind else {
                continue;
            };
            let found = &found.fields[field];
            let Some(default) = &found.default else {
                continue;
            };
            let bytes = default::encode(&self.nodes, found.node, &default.json, &mut left)
                .map_err(|reason| SchemaError { pointer, reason })?;
            if let Kind::Record(record) = &mut self.nodes[record].kind
                && let Some(default) = &mut record.fields[field].default
            {
                default.bytes = bytes;
            }
        }
        Ok(())
    }
}

const NOT_A_NAME: &str =
    "not a name: a letter or an underscore, then letters, digits and underscores";

pub(crate) fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

fn naming(object: &Map<String, Value>, namespace: &str, place: &Place<'_>) -> Result<Naming> {
    let namespace = match object.get("namespace") {
        None | Some(Value::Null) => namespace,
        Some(Value::String(own)) => own,
        Some(_) => return Err(Place::Key(place, "namespace").error("a namespace is a text")),
    };
    let text = match object.get("name") {
        Some(Value::String(text)) => text,
        Some(_) => return Err(Place::Key(place, "name").error(NOT_A_NAME)),
        None => return Err(place.error("a record, an enum and a fixed need their `name`")),
    };
    let name = Name::resolve(text, namespace).ok_or_else(|| {
        Place::Key(place, "name").error(format!("{NOT_A_NAME}; with dots between"))
    })?;
    let aliases = aliases(object, place, |alias| {
        Name::resolve(alias, name.namespace())
    })?;
    Ok(Naming {
        aliases,
        doc: doc(object, place)?,
        name,
    })
}

fn aliases<T>(
    object: &Map<String, Value>,
    place: &Place<'_>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>> {
    let place = Place::Key(place, "aliases");
    match object.get("aliases") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, alias)| {
                alias
                    .as_str()
                    .and_then(&read)
                    .ok_or_else(|| Place::Index(&place, index).error(NOT_A_NAME))
            })
            .collect(),
        Some(_) => Err(place.error("aliases are a list of names")),
    }
}

fn doc(object: &Map<String, Value>, place: &Place<'_>) -> Result<Option<String>> {
    match object.get("doc") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(doc)) => Ok(Some(doc.clone())),
        Some(_) => Err(Place::Key(place, "doc").error("documentation is a text")),
    }
}
