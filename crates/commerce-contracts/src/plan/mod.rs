//! Checks a value against its schema while it is being serialised, without a copy of it as JSON.
//!
//! The schema is taken apart into what a serialiser can follow: objects, arrays, what may be null, whole numbers with limits, texts of a
//! closed list, with a length, or with a format that types write (identifiers, dates, times). What is left, a pattern or a choice, is
//! checked by `jsonschema` on that part alone. The plan may take a valid value for
//! an invalid one, and is then overruled by the whole validator; the other way round must never be.

mod checking;
mod compound;
mod text;

use std::collections::HashMap;
use std::sync::OnceLock;

use checking::Checking;
use jsonschema::Validator;
use serde::Serialize;
use serde_json::{Map, Value};
use text::Texts;

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
    Text(Texts),
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
        if let Some(texts) = Texts::of(&rules) {
            return Shape::Text(texts);
        }
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
