//! An Avro schema as the checker sees it: names resolved, logical types known.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// Deeper nesting than this is not judged.
const MOST_DEPTH: usize = 100;

pub(super) type Id = usize;

/// A full name: the namespace, and the name without it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) namespace: String,
    pub(super) short: String,
}

impl Name {
    pub(super) fn full(&self) -> String {
        if self.namespace.is_empty() {
            self.short.clone()
        } else {
            format!("{}.{}", self.namespace, self.short)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

impl Primitive {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "string" => Self::String,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) schema: Id,
    pub(super) default: Option<Value>,
    pub(super) pointer: String,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Primitive(Primitive),
    Array(Id),
    Map(Id),
    Union(Vec<Id>),
    Record {
        name: Name,
        aliases: Vec<Name>,
        fields: Vec<Field>,
    },
    Enum {
        name: Name,
        aliases: Vec<Name>,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Fixed {
        name: Name,
        aliases: Vec<Name>,
        size: u64,
    },
}

impl Shape {
    /// For messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Primitive(primitive) => primitive.name(),
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record { .. } => "record",
            Self::Enum { .. } => "enum",
            Self::Fixed { .. } => "fixed",
        }
    }
}

/// What the bytes mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Logical {
    Decimal {
        precision: u64,
        scale: u64,
    },
    /// Any other of the specification.
    Named(&'static str),
    /// One that the specification does not know: a reader may take it for its underlying type.
    Foreign(String),
}

impl Logical {
    pub(super) fn describe(logical: Option<&Self>) -> String {
        match logical {
            None => "no logical type".to_owned(),
            Some(Self::Decimal { precision, scale }) => format!("decimal({precision}, {scale})"),
            Some(Self::Named(name)) => (*name).to_owned(),
            Some(Self::Foreign(name)) => name.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) pointer: String,
    pub(super) shape: Shape,
    pub(super) logical: Option<Logical>,
}

/// A parsed schema; its root is [`Schema::root`].
#[derive(Clone, Debug)]
pub(super) struct Schema {
    nodes: Vec<Node>,
    pub(super) root: Id,
}

impl std::ops::Index<Id> for Schema {
    type Output = Node;

    fn index(&self, id: Id) -> &Node {
        &self.nodes[id]
    }
}

/// Why a schema is none, and where.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) pointer: String,
    pub(super) reason: String,
}

type Parsed<T> = Result<T, Invalid>;

fn invalid<T>(pointer: &str, reason: impl Into<String>) -> Parsed<T> {
    Err(Invalid {
        pointer: pointer.to_owned(),
        reason: reason.into(),
    })
}

impl Schema {
    pub(super) fn parse(value: &Value) -> Parsed<Self> {
        let mut parser = Parser {
            nodes: Vec::new(),
            names: HashMap::new(),
        };
        let root = parser.schema(value, "", "", 0)?;
        Ok(Self {
            nodes: parser.nodes,
            root,
        })
    }

    pub(super) fn ids(&self) -> std::ops::Range<Id> {
        0..self.nodes.len()
    }
}

struct Parser {
    nodes: Vec<Node>,
    names: HashMap<String, Id>,
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// A full name from a name that may hold dots, and the namespace around it.
fn named(text: &str, namespace: Option<&str>, enclosing: &str) -> Name {
    match text.rsplit_once('.') {
        Some((namespace, short)) => Name {
            namespace: namespace.to_owned(),
            short: short.to_owned(),
        },
        None => Name {
            namespace: namespace.unwrap_or(enclosing).to_owned(),
            short: text.to_owned(),
        },
    }
}

impl Parser {
    fn add(&mut self, pointer: &str, shape: Shape, logical: Option<Logical>) -> Id {
        self.nodes.push(Node {
            pointer: pointer.to_owned(),
            shape,
            logical,
        });
        self.nodes.len() - 1
    }

    fn schema(
        &mut self,
        value: &Value,
        pointer: &str,
        enclosing: &str,
        depth: usize,
    ) -> Parsed<Id> {
        if depth > MOST_DEPTH {
            return invalid(pointer, "it is nested too deeply");
        }
        match value {
            Value::String(name) => self.reference(name, pointer, enclosing),
            Value::Array(branches) => self.union(branches, pointer, enclosing, depth),
            Value::Object(schema) => self.complex(schema, pointer, enclosing, depth),
            _ => invalid(pointer, "a schema is a name, an object or a list"),
        }
    }

    fn reference(&mut self, name: &str, pointer: &str, enclosing: &str) -> Parsed<Id> {
        if let Some(primitive) = Primitive::named(name) {
            return Ok(self.add(pointer, Shape::Primitive(primitive), None));
        }
        let full = named(name, None, enclosing).full();
        match self.names.get(&full) {
            Some(id) => Ok(*id),
            None => invalid(
                pointer,
                format!("the type {full:?} is not defined before it is used"),
            ),
        }
    }

    fn union(
        &mut self,
        branches: &[Value],
        pointer: &str,
        enclosing: &str,
        depth: usize,
    ) -> Parsed<Id> {
        let mut ids = Vec::with_capacity(branches.len());
        let mut kinds: HashSet<String> = HashSet::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            let at = format!("{pointer}/{index}");
            let id = self.schema(branch, &at, enclosing, depth + 1)?;
            let kind = match &self.nodes[id].shape {
                Shape::Union(_) => return invalid(&at, "a union may not hold a union directly"),
                Shape::Record { name, .. }
                | Shape::Enum { name, .. }
                | Shape::Fixed { name, .. } => name.full(),
                other => other.kind().to_owned(),
            };
            if let Some(kind) = kinds.replace(kind) {
                return invalid(&at, format!("a union may hold {kind:?} only once"));
            }
            ids.push(id);
        }
        if ids.is_empty() {
            return invalid(pointer, "a union needs a branch");
        }
        Ok(self.add(pointer, Shape::Union(ids), None))
    }

    fn complex(
        &mut self,
        schema: &Map<String, Value>,
        pointer: &str,
        enclosing: &str,
        depth: usize,
    ) -> Parsed<Id> {
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            // `{"type": {…}}` is the schema inside.
            Some(inner @ (Value::Object(_) | Value::Array(_))) => {
                return self.schema(inner, &format!("{pointer}/type"), enclosing, depth + 1);
            }
            _ => return invalid(pointer, "a schema needs a type"),
        };
        match kind {
            "record" | "error" => self.record(schema, pointer, enclosing, depth),
            "enum" => self.enumeration(schema, pointer, enclosing),
            "fixed" => self.fixed(schema, pointer, enclosing),
            "array" | "map" => {
                let keyword = if kind == "array" { "items" } else { "values" };
                let at = format!("{pointer}/{keyword}");
                let Some(inner) = schema.get(keyword) else {
                    return invalid(pointer, format!("an {kind} needs {keyword}"));
                };
                let inner = self.schema(inner, &at, enclosing, depth + 1)?;
                let shape = if kind == "array" {
                    Shape::Array(inner)
                } else {
                    Shape::Map(inner)
                };
                Ok(self.add(pointer, shape, foreign(schema)))
            }
            name => match Primitive::named(name) {
                Some(primitive) => {
                    let logical = logical(schema, primitive);
                    Ok(self.add(pointer, Shape::Primitive(primitive), logical))
                }
                None => self.reference(name, &format!("{pointer}/type"), enclosing),
            },
        }
    }

    /// The name and the aliases of a named type, which is defined from here on.
    fn define(
        &mut self,
        schema: &Map<String, Value>,
        pointer: &str,
        enclosing: &str,
    ) -> Parsed<(Id, Name, Vec<Name>)> {
        let Some(text) = schema.get("name").and_then(Value::as_str) else {
            return invalid(pointer, "a record, enum or fixed needs a name");
        };
        let name = named(
            text,
            schema.get("namespace").and_then(Value::as_str),
            enclosing,
        );
        let valid_namespace = name.namespace.is_empty() || name.namespace.split('.').all(is_name);
        if !is_name(&name.short) || !valid_namespace {
            return invalid(pointer, format!("{text:?} is not a name"));
        }
        if name.namespace.is_empty() && Primitive::named(&name.short).is_some() {
            return invalid(pointer, format!("{text:?} is the name of a primitive type"));
        }
        let mut aliases = Vec::new();
        for alias in strings(schema, "aliases", pointer)? {
            aliases.push(named(&alias, None, &name.namespace));
        }
        // The place is taken before the inside is read, which may refer to it.
        let id = self.add(pointer, Shape::Primitive(Primitive::Null), None);
        if self.names.insert(name.full(), id).is_some() {
            return invalid(pointer, format!("{:?} is defined twice", name.full()));
        }
        Ok((id, name, aliases))
    }

    fn record(
        &mut self,
        schema: &Map<String, Value>,
        pointer: &str,
        enclosing: &str,
        depth: usize,
    ) -> Parsed<Id> {
        let (id, name, aliases) = self.define(schema, pointer, enclosing)?;
        let Some(list) = schema.get("fields").and_then(Value::as_array) else {
            return invalid(pointer, "a record needs a list of fields");
        };
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        // Fields may refer to the record: they see its name now and its fields when all is read.
        self.nodes[id].shape = Shape::Record {
            name: name.clone(),
            aliases: aliases.clone(),
            fields: Vec::new(),
        };
        for (index, field) in list.iter().enumerate() {
            let at = format!("{pointer}/fields/{index}");
            let (Some(field_name), Some(inner)) =
                (field.get("name").and_then(Value::as_str), field.get("type"))
            else {
                return invalid(&at, "a field needs a name and a type");
            };
            if !is_name(field_name) {
                return invalid(&at, format!("{field_name:?} is not a name"));
            }
            if fields.iter().any(|field| field.name == field_name) {
                return invalid(&at, format!("the field {field_name:?} is there twice"));
            }
            fields.push(Field {
                name: field_name.to_owned(),
                aliases: field
                    .as_object()
                    .map_or(Ok(Vec::new()), |field| strings(field, "aliases", &at))?,
                schema: self.schema(inner, &format!("{at}/type"), &name.namespace, depth + 1)?,
                default: field.get("default").cloned(),
                pointer: at,
            });
        }
        self.nodes[id].shape = Shape::Record {
            name,
            aliases,
            fields,
        };
        Ok(id)
    }

    fn enumeration(
        &mut self,
        schema: &Map<String, Value>,
        pointer: &str,
        enclosing: &str,
    ) -> Parsed<Id> {
        let (id, name, aliases) = self.define(schema, pointer, enclosing)?;
        if !schema.get("symbols").is_some_and(Value::is_array) {
            return invalid(pointer, "an enum needs a list of symbols");
        }
        let symbols = strings(schema, "symbols", pointer)?;
        let mut known: HashSet<&str> = HashSet::with_capacity(symbols.len());
        for (index, symbol) in symbols.iter().enumerate() {
            if !is_name(symbol) || !known.insert(symbol) {
                return invalid(
                    &format!("{pointer}/symbols/{index}"),
                    format!("{symbol:?} is not a name, or is there twice"),
                );
            }
        }
        let default = match schema.get("default") {
            None => None,
            Some(Value::String(default)) if symbols.contains(default) => Some(default.clone()),
            Some(_) => {
                return invalid(
                    &format!("{pointer}/default"),
                    "the default of an enum is one of its symbols",
                );
            }
        };
        self.nodes[id].shape = Shape::Enum {
            name,
            aliases,
            symbols,
            default,
        };
        self.nodes[id].logical = foreign(schema);
        Ok(id)
    }

    fn fixed(&mut self, schema: &Map<String, Value>, pointer: &str, enclosing: &str) -> Parsed<Id> {
        let (id, name, aliases) = self.define(schema, pointer, enclosing)?;
        let Some(size) = schema.get("size").and_then(Value::as_u64) else {
            return invalid(pointer, "a fixed needs a size");
        };
        self.nodes[id].logical = match schema.get("logicalType").and_then(Value::as_str) {
            None => None,
            Some("decimal") => decimal(schema, Some(size)),
            Some("uuid") => (size == 16).then_some(Logical::Named("uuid")),
            Some("duration") => (size == 12).then_some(Logical::Named("duration")),
            Some(other) => unknown(other),
        };
        self.nodes[id].shape = Shape::Fixed {
            name,
            aliases,
            size,
        };
        Ok(id)
    }
}

/// The logical types of the specification and what they annotate; where they do not fit they are ignored, as it says.
const LOGICAL: &[(&str, &[Primitive])] = &[
    ("big-decimal", &[Primitive::Bytes]),
    ("uuid", &[Primitive::String]),
    ("date", &[Primitive::Int]),
    ("time-millis", &[Primitive::Int]),
    ("time-micros", &[Primitive::Long]),
    ("timestamp-millis", &[Primitive::Long]),
    ("timestamp-micros", &[Primitive::Long]),
    ("timestamp-nanos", &[Primitive::Long]),
    ("local-timestamp-millis", &[Primitive::Long]),
    ("local-timestamp-micros", &[Primitive::Long]),
    ("local-timestamp-nanos", &[Primitive::Long]),
    ("decimal", &[Primitive::Bytes]),
    ("duration", &[]),
];

fn logical(schema: &Map<String, Value>, primitive: Primitive) -> Option<Logical> {
    let name = schema.get("logicalType")?.as_str()?;
    match LOGICAL.iter().find(|(known, _)| *known == name) {
        Some((_, bases)) if !bases.contains(&primitive) => None,
        Some(("decimal", _)) => decimal(schema, None),
        Some((known, _)) => Some(Logical::Named(known)),
        None => Some(Logical::Foreign(name.to_owned())),
    }
}

fn unknown(name: &str) -> Option<Logical> {
    let known = LOGICAL.iter().any(|(known, _)| *known == name);
    (!known).then(|| Logical::Foreign(name.to_owned()))
}

fn foreign(schema: &Map<String, Value>) -> Option<Logical> {
    unknown(schema.get("logicalType")?.as_str()?)
}

/// A decimal whose numbers make sense; the specification says to ignore others.
fn decimal(schema: &Map<String, Value>, size: Option<u64>) -> Option<Logical> {
    let precision = schema
        .get("precision")?
        .as_u64()
        .filter(|precision| *precision > 0)?;
    let scale = match schema.get("scale") {
        None => 0,
        Some(scale) => scale.as_u64()?,
    };
    // The digits that always fit: floor(log10(2^(8 × size − 1) − 1)).
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes are small"
    )]
    let fits = size.is_none_or(|size| {
        precision <= ((8.0 * size as f64 - 1.0) * std::f64::consts::LOG10_2).floor() as u64
    });
    (scale <= precision && fits).then_some(Logical::Decimal { precision, scale })
}

fn strings(schema: &Map<String, Value>, keyword: &str, pointer: &str) -> Parsed<Vec<String>> {
    let Some(list) = schema.get(keyword) else {
        return Ok(Vec::new());
    };
    let strings = list.as_array().and_then(|items| {
        items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect()
    });
    match strings {
        Some(strings) => Ok(strings),
        None => invalid(
            &format!("{pointer}/{keyword}"),
            format!("{keyword} is a list of strings"),
        ),
    }
}
