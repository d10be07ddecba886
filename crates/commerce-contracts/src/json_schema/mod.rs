//! What a type reads and promises beyond what schemars writes down of it.
//!
//! schemars passes over `#[serde(alias)]`, `#[serde(other)]` and what the keys of maps are, and leaves whole numbers of 32 bits without bounds.
//! The Avro schema of the same type knows names, aliases, the symbol that stands for unknown ones, keys and the digits of decimals, so the
//! two are walked side by side.

mod decimal;

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::avro::logical::Logical;
use crate::avro::{Kind, NodeId, Schema};
use decimal::Decimal;

/// Says the bounds of whole numbers whose type in Rust has 32 bits; schemars says those of 8 and 16.
pub(crate) fn bound_integers(schema: &mut Value) {
    match schema {
        Value::Object(rules) => {
            let bounds = match rules.get("format").and_then(Value::as_str) {
                Some("int32") => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
                Some("uint32") => Some((0, i64::from(u32::MAX))),
                _ => None,
            };
            let is_integer = match rules.get("type") {
                Some(Value::String(kind)) => kind == "integer",
                Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "integer"),
                _ => false,
            };
            if let (Some((least, most)), true) = (bounds, is_integer) {
                for (keyword, exclusive, bound) in [
                    ("minimum", "exclusiveMinimum", least),
                    ("maximum", "exclusiveMaximum", most),
                ] {
                    if !rules.contains_key(exclusive) {
                        rules.entry(keyword).or_insert_with(|| bound.into());
                    }
                }
            }
            for (keyword, rule) in rules {
                // Values, and not schemas.
                if !["const", "enum", "default", "examples"].contains(&keyword.as_str()) {
                    bound_integers(rule);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

/// Says what holds in either direction: the digits that a decimal has, and what the keys of a map are.
pub(crate) fn limit(schema: &mut Value, avro: &Schema) {
    let mut edits = edits(schema, avro);
    edits.retain(|(_, edit)| matches!(edit, Edit::Decimal(_) | Edit::Keys(_)));
    apply(schema, edits);
}

/// Lets the schema of what is read take what serde takes: a field under its aliases, an enum's older symbols, and any symbol where one
/// stands for those that are unknown. What limits writers is there too.
pub(crate) fn widen(schema: &mut Value, avro: &Schema) {
    let edits = edits(schema, avro);
    apply(schema, edits);
}

fn edits(schema: &Value, avro: &Schema) -> Vec<(String, Edit)> {
    let mut walk = Walk {
        root: schema,
        avro,
        seen: HashSet::new(),
        edits: Vec::new(),
    };
    walk.node(avro.root(), String::new());
    walk.edits
}

fn apply(schema: &mut Value, edits: Vec<(String, Edit)>) {
    for (place, edit) in edits {
        if let Some(Value::Object(rules)) = schema.pointer_mut(&place) {
            edit.apply(rules);
        }
    }
}

enum Edit {
    /// It is a decimal.
    Decimal(Decimal),
    /// It is a map with such keys.
    Keys(Value),
    /// Any text is read; these are known.
    Open(Vec<String>),
    /// These are read too.
    Symbols(Vec<String>),
    /// The property is read under these names too.
    Aliases(String, Vec<String>),
}

struct Walk<'a> {
    root: &'a Value,
    avro: &'a Schema,
    /// A type that contains itself is looked at once in each place.
    seen: HashSet<(NodeId, String)>,
    edits: Vec<(String, Edit)>,
}

impl Walk<'_> {
    /// What the Avro type says, at a place of the JSON Schema and wherever that one leads.
    fn node(&mut self, node: NodeId, at: String) {
        if !self.seen.insert((node, at.clone())) {
            return;
        }
        let Some(Value::Object(rules)) = self.root.pointer(&at) else {
            return;
        };
        let avro = self.avro;
        if let Some(Logical::Decimal { precision, scale }) = avro.nodes()[node].logical {
            self.decimal(node, at, Decimal::new(precision, scale));
            return;
        }
        let target = rules.get("$ref").and_then(Value::as_str);
        if let Some(target) = target.and_then(|target| target.strip_prefix('#')) {
            self.node(node, target.to_owned());
        }
        let kind = &avro.nodes()[node].kind;
        if let Kind::Union(branches) = kind {
            for branch in branches {
                self.node(*branch, at.clone());
            }
            return;
        }
        if let Kind::Enum(enumeration) = kind
            && let Some(known) = choices(rules)
        {
            let missing = |symbol: &&String| !known.contains(symbol);
            let older: Vec<String> = enumeration
                .symbols
                .iter()
                .filter(missing)
                .cloned()
                .collect();
            // Symbols that are written otherwise in JSON are another thing.
            let is_same = known.iter().all(|name| enumeration.symbols.contains(name));
            if is_same && enumeration.default.is_some() {
                self.edits.push((at, Edit::Open(known)));
            } else if is_same && !older.is_empty() {
                self.edits.push((at, Edit::Symbols(older)));
            }
            return;
        }
        for choice in ["anyOf", "oneOf", "allOf"] {
            let branches = rules.get(choice).and_then(Value::as_array);
            for index in 0..branches.map_or(0, Vec::len) {
                self.node(node, format!("{at}/{choice}/{index}"));
            }
        }
        match kind {
            Kind::Record(record) => {
                for field in &record.fields {
                    let place = format!("{at}/properties/{}", escaped(&field.name));
                    if self.root.pointer(&place).is_none() {
                        continue;
                    }
                    self.node(field.node, place);
                    if !field.aliases.is_empty() {
                        let edit = Edit::Aliases(field.name.clone(), field.aliases.clone());
                        // What is inside is changed first, so that the copies for the aliases are as well.
                        self.edits.push((at.clone(), edit));
                    }
                }
            }
            Kind::Array(inner) => self.node(*inner, format!("{at}/items")),
            Kind::Map(inner) => {
                for place in values(self.root, &at) {
                    self.node(*inner, place);
                }
                // What is described name by name, or by patterns, is closed to all other names.
                let is_open = rules.get("additionalProperties") != Some(&Value::Bool(false));
                if let (Some(keys), true) =
                    (&avro.nodes()[node].keys, is_open && may_be_object(rules))
                {
                    self.edits.push((at, Edit::Keys(keys.clone())));
                }
            }
            _ => {}
        }
    }
}

/// A place that only refers to the map, or chooses among types, says nothing of the kind itself.
fn may_be_object(rules: &Map<String, Value>) -> bool {
    match rules.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    }
}

impl Walk<'_> {
    /// A decimal is limited where it stands and not where a reference leads: others may refer to the same text with other digits.
    fn decimal(&mut self, node: NodeId, at: String, decimal: Decimal) {
        for choice in ["anyOf", "oneOf"] {
            let branches = self.root.pointer(&format!("{at}/{choice}"));
            if let Some(branches) = branches.and_then(Value::as_array) {
                for index in 0..branches.len() {
                    self.node(node, format!("{at}/{choice}/{index}"));
                }
                return;
            }
        }
        let types = decimal::types(self.root, &at);
        self.edits
            .push((at, Edit::Decimal(decimal.of_types(types))));
    }
}

/// Where a schema describes the values of a map: keys that are numbers or have a pattern are described by patterns, and those of an
/// enum each by itself.
pub(crate) fn values(root: &Value, at: &str) -> Vec<String> {
    let mut places = vec![format!("{at}/additionalProperties")];
    for keyword in ["patternProperties", "properties"] {
        let named = root.pointer(&format!("{at}/{keyword}"));
        for name in named
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
        {
            places.push(format!("{at}/{keyword}/{}", escaped(name)));
        }
    }
    places
}

pub(crate) fn escaped(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// The texts of a closed list, in any of the forms that schemars gives it.
fn choices(rules: &Map<String, Value>) -> Option<Vec<String>> {
    let texts = |list: &[Value]| -> Option<Vec<String>> {
        let names = list.iter().filter(|value| !value.is_null());
        names.map(|name| name.as_str().map(str::to_owned)).collect()
    };
    if let Some(list) = rules.get("enum").and_then(Value::as_array) {
        return texts(list);
    }
    if let Some(one) = rules.get("const") {
        return texts(std::slice::from_ref(one));
    }
    let mut all = Vec::new();
    for branch in rules.get("oneOf")?.as_array()? {
        all.extend(choices(branch.as_object()?)?);
    }
    Some(all)
}

impl Edit {
    fn apply(self, rules: &mut Map<String, Value>) {
        match self {
            Self::Decimal(decimal) => decimal.limit(rules),
            Self::Keys(keys) => {
                rules.entry("propertyNames").or_insert(keys);
            }
            Self::Open(known) => {
                let nullable = rules.remove("enum").is_some_and(|list| {
                    list.as_array()
                        .is_some_and(|list| list.contains(&Value::Null))
                });
                rules.remove("const");
                rules.remove("oneOf");
                let kind = if nullable {
                    json!(["string", "null"])
                } else {
                    json!("string")
                };
                rules.insert("type".to_owned(), kind);
                rules.entry("examples").or_insert_with(|| known.into());
            }
            Self::Symbols(older) => {
                if let Some(Value::Array(list)) = rules.get_mut("enum") {
                    list.extend(older.into_iter().map(Value::String));
                } else if let Some(Value::Array(branches)) = rules.get_mut("oneOf") {
                    branches.push(json!({"type": "string", "enum": older}));
                } else if let Some(one) = rules.remove("const") {
                    let mut list = vec![one];
                    list.extend(older.into_iter().map(Value::String));
                    rules.insert("enum".to_owned(), list.into());
                }
            }
            Self::Aliases(name, mut names) => {
                let Some(Value::Object(properties)) = rules.get_mut("properties") else {
                    return;
                };
                let Some(schema) = properties.get(&name).cloned() else {
                    return;
                };
                names.retain(|alias| !properties.contains_key(alias));
                for alias in &names {
                    properties.insert(alias.clone(), schema.clone());
                }
                names.insert(0, name);
                let rule = one_of_names(rules, &names);
                if let Value::Array(all) = rules.entry("allOf").or_insert_with(|| json!([])) {
                    all.push(rule);
                }
            }
        }
    }
}

/// One of the names, or none of them where the field may be missing; serde refuses two. It is written so that each alternative can be
/// decided by itself.
fn one_of_names(rules: &mut Map<String, Value>, names: &[String]) -> Value {
    let mut is_required = false;
    if let Some(Value::Array(required)) = rules.get_mut("required") {
        required.retain(|name| {
            let is_this = names.iter().any(|known| name == known.as_str());
            is_required |= is_this;
            !is_this
        });
        if required.is_empty() {
            rules.remove("required");
        }
    }
    let alternatives = names.iter().map(|name| {
        let others = names.iter().filter(|other| *other != name);
        let absent: Map<String, Value> =
            others.map(|other| (other.clone(), false.into())).collect();
        let mut alternative = json!({"properties": absent});
        if is_required {
            alternative["required"] = json!([name]);
        }
        alternative
    });
    json!({"anyOf": alternatives.collect::<Vec<_>>()})
}
