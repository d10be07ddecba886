//! The fields of an event, flat, each with its path.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Deeper than this, and inside itself, a type is named and not unfolded.
const DEEPEST: usize = 8;

/// More fields than this are not told: types that refer to each other in many ways unfold without end.
const MOST: usize = 2000;

/// A path that is longer than this is deeper than anybody reads.
const LONGEST: usize = 500;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// `customer.email`; `items[].sku` of each item of a list, `prices{}.currency` of each value of a map.
    pub(super) path: String,
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) personal: bool,
    pub(super) description: String,
}

pub(super) fn of_json(schema: &Value) -> Vec<Field> {
    let mut walk = JsonWalk {
        root: schema,
        inside: Vec::new(),
        fields: Vec::new(),
    };
    walk.object("", schema);
    walk.fields
}

struct JsonWalk<'a> {
    root: &'a Value,
    /// The references that lead to where the walk is.
    inside: Vec<&'a str>,
    fields: Vec<Field>,
}

impl<'a> JsonWalk<'a> {
    fn object(&mut self, path: &str, schema: &'a Value) {
        let Some(properties) = schema["properties"].as_object() else {
            return;
        };
        let mut names: Vec<&String> = properties.keys().collect();
        names.sort();
        for name in names {
            let property = &properties[name];
            let required = schema["required"]
                .as_array()
                .is_some_and(|names| names.iter().any(|required| required == name));
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            self.field(&path, property, required);
        }
    }

    fn field(&mut self, path: &str, schema: &'a Value, required: bool) {
        if self.fields.len() >= MOST {
            return;
        }
        let before = self.inside.len();
        let target = self.follow(schema);
        self.fields.push(Field {
            path: path.to_owned(),
            kind: kind(target, self.root),
            required: required && !nullable(target),
            personal: personal(schema) || personal(target),
            description: [schema, target]
                .iter()
                .find_map(|schema| schema["description"].as_str())
                .unwrap_or_default()
                .to_owned(),
        });
        self.unfold(path, target);
        self.inside.truncate(before);
    }

    /// The fields of an object, of the items of a list, of the values of a map, and of each alternative of a choice.
    fn unfold(&mut self, path: &str, target: &'a Value) {
        // A circle ends here; it is told by the type's name.
        let circle = self
            .inside
            .last()
            .is_some_and(|last| self.inside[..self.inside.len() - 1].contains(last));
        if circle || self.inside.len() >= DEEPEST || path.len() > LONGEST {
            return;
        }
        // The keys of a map that are those of an enum are told as fields: each of them may be there.
        self.object(path, target);
        let patterns = target["patternProperties"].as_object();
        for values in patterns.into_iter().flat_map(Map::values) {
            self.inner(&format!("{path}{{}}"), values);
        }
        if let Some(items) = target.get("items") {
            self.inner(&format!("{path}[]"), items);
        }
        if let Some(values) = target.get("additionalProperties") {
            self.inner(&format!("{path}{{}}"), values);
        }
        for choice in ["anyOf", "oneOf", "allOf"] {
            for branch in target[choice].as_array().into_iter().flatten() {
                self.inner(path, branch);
            }
        }
    }

    /// Nothing that is named by itself: what is in it has fields, or has not. Those of keys that lead to one type are told once.
    fn inner(&mut self, path: &str, schema: &'a Value) {
        let before = self.inside.len();
        let target = self.follow(schema);
        let start = self.fields.len();
        self.unfold(path, target);
        let told: Vec<Field> = self.fields.split_off(start);
        for field in told {
            if !self.fields.contains(&field) {
                self.fields.push(field);
            }
        }
        self.inside.truncate(before);
    }

    /// Where a chain of references, or of "this or null", leads.
    fn follow(&mut self, schema: &'a Value) -> &'a Value {
        let mut here = schema;
        for _ in 0..DEEPEST {
            let next = match here["$ref"].as_str() {
                Some(reference) => {
                    self.inside.push(reference);
                    resolve(self.root, reference)
                }
                None => only_branch(here),
            };
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        here
    }
}

fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// `anyOf` with one branch besides null.
fn only_branch(schema: &Value) -> Option<&Value> {
    let mut branches = schema["anyOf"]
        .as_array()?
        .iter()
        .filter(|branch| branch["type"] != "null");
    branches.next().filter(|_| branches.next().is_none())
}

fn nullable(schema: &Value) -> bool {
    schema["type"]
        .as_array()
        .is_some_and(|types| types.iter().any(|name| name == "null"))
}

fn personal(schema: &Value) -> bool {
    schema["x-personal"] == Value::Bool(true)
}

/// What a value is, in a few words.
fn kind(schema: &Value, root: &Value) -> String {
    if let Some(values) = values(schema) {
        return format!("one of {}", values.join(", "));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect(),
        _ => Vec::new(),
    };
    let mut text = if types.is_empty() {
        "any".to_owned()
    } else {
        types.join(" or ")
    };
    if let Some(items) = schema.get("items").filter(|_| types == ["array"]) {
        let items = items["$ref"]
            .as_str()
            .and_then(|reference| resolve(root, reference))
            .unwrap_or(items);
        text = format!("array of {}", kind(items, root));
    }
    let mut limits = Vec::new();
    if let Some(format) = schema["format"].as_str() {
        limits.push(format.to_owned());
    }
    for (keyword, sign) in [
        ("minimum", "at least "),
        ("exclusiveMinimum", "more than "),
        ("maximum", "at most "),
        ("exclusiveMaximum", "less than "),
        ("minLength", "characters at least "),
        ("maxLength", "characters at most "),
        ("minItems", "items at least "),
        ("maxItems", "items at most "),
        ("pattern", "matches "),
    ] {
        match &schema[keyword] {
            Value::Null => {}
            Value::String(value) => limits.push(format!("{sign}{value}")),
            value => limits.push(format!("{sign}{value}")),
        }
    }
    if limits.is_empty() {
        text
    } else {
        format!("{text} ({})", limits.join(", "))
    }
}

/// A closed list: `enum`, `const`, or a `oneOf` of these.
fn values(schema: &Value) -> Option<Vec<String>> {
    if let Some(values) = schema["enum"].as_array() {
        return Some(values.iter().map(Value::to_string).collect());
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![value.to_string()]);
    }
    let branches = schema["oneOf"].as_array()?;
    let all: Option<Vec<Vec<String>>> = branches.iter().map(values).collect();
    Some(all?.concat())
}

pub(super) fn of_avro(schema: &Value) -> Vec<Field> {
    let mut walk = AvroWalk {
        named: HashMap::new(),
        inside: Vec::new(),
        fields: Vec::new(),
    };
    walk.learn(schema, 0);
    walk.unfold("", schema);
    walk.fields
}

struct AvroWalk<'a> {
    /// A named type is written where it is first used, and referred to after that.
    named: HashMap<&'a str, &'a Value>,
    /// The records that lead to where the walk is.
    inside: Vec<&'a str>,
    fields: Vec<Field>,
}

impl<'a> AvroWalk<'a> {
    /// Finds the named types. Names are unique without their namespaces in all schemas that types have.
    fn learn(&mut self, schema: &'a Value, depth: usize) {
        // Deeper schemas are read by nobody either.
        const DEEPEST_SCHEMA: usize = 128;
        if depth > DEEPEST_SCHEMA {
            return;
        }
        match schema {
            Value::Array(branches) => {
                for branch in branches {
                    self.learn(branch, depth + 1);
                }
            }
            Value::Object(members) => {
                if let Some(name) = schema["name"].as_str() {
                    self.named.entry(name).or_insert(schema);
                }
                for key in ["type", "items", "values"] {
                    if let Some(inner) = members.get(key) {
                        self.learn(inner, depth + 1);
                    }
                }
                for field in schema["fields"].as_array().into_iter().flatten() {
                    self.learn(&field["type"], depth + 1);
                }
            }
            _ => {}
        }
    }

    fn unfold(&mut self, path: &str, schema: &'a Value) {
        match schema {
            Value::String(name) => {
                let simple = name.rsplit('.').next().unwrap_or(name);
                if let Some(named) = self.named.get(simple).copied() {
                    self.unfold(path, named);
                }
            }
            Value::Array(branches) => {
                for branch in branches {
                    self.unfold(path, branch);
                }
            }
            Value::Object(_) => match &schema["type"] {
                Value::String(kind) if kind == "array" => {
                    self.unfold(&format!("{path}[]"), &schema["items"]);
                }
                Value::String(kind) if kind == "map" => {
                    self.unfold(&format!("{path}{{}}"), &schema["values"]);
                }
                Value::String(kind) if kind == "record" => self.record(path, schema),
                Value::String(_) => {}
                inner => self.unfold(path, inner),
            },
            _ => {}
        }
    }

    fn record(&mut self, path: &str, schema: &'a Value) {
        let name = schema["name"].as_str().unwrap_or_default();
        if self.inside.contains(&name) || self.inside.len() >= DEEPEST {
            return;
        }
        self.inside.push(name);
        for field in schema["fields"].as_array().into_iter().flatten() {
            if self.fields.len() >= MOST {
                break;
            }
            let name = field["name"].as_str().unwrap_or_default();
            let path = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            };
            self.fields.push(Field {
                path: path.clone(),
                kind: avro_kind(&field["type"]),
                required: field.get("default").is_none(),
                personal: personal(field),
                description: field["doc"].as_str().unwrap_or_default().to_owned(),
            });
            self.unfold(&path, &field["type"]);
        }
        self.inside.pop();
    }
}

fn avro_kind(schema: &Value) -> String {
    match schema {
        Value::String(name) => name.clone(),
        Value::Array(branches) => branches
            .iter()
            .map(avro_kind)
            .collect::<Vec<_>>()
            .join(" or "),
        schema => {
            let name = schema["type"].as_str().unwrap_or("record");
            match (name, schema["logicalType"].as_str()) {
                (_, Some(logical)) => format!("{name} ({logical})"),
                ("enum", _) => {
                    let symbols = schema["symbols"].as_array().into_iter().flatten();
                    let symbols: Vec<&str> = symbols.filter_map(Value::as_str).collect();
                    format!("one of {}", symbols.join(", "))
                }
                ("array", _) => format!("array of {}", avro_kind(&schema["items"])),
                ("map", _) => format!("map of {}", avro_kind(&schema["values"])),
                ("record", _) => schema["name"].as_str().unwrap_or("record").to_owned(),
                _ => name.to_owned(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(fields: &[Field]) -> Vec<(String, String)> {
        fields
            .iter()
            .map(|field| (field.path.clone(), field.kind.clone()))
            .collect()
    }

    #[test]
    fn references_are_followed_and_circles_end() {
        let schema = json!({
            "properties": {"root": {"$ref": "#/$defs/Node"}},
            "$defs": {"Node": {"type": "object", "properties": {
                "name": {"type": ["string", "null"], "maxLength": 9},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            }}},
        });
        let fields = of_json(&schema);
        let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["root", "root.name", "root.next"]);
        assert_eq!(fields[1].kind, "string (characters at most 9)");
    }

    #[test]
    fn lists_and_closed_lists() {
        let schema = json!({"properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "state": {"oneOf": [{"const": "open"}, {"enum": ["paid", "gone"]}]},
        }});
        let pair = |path: &str, kind: &str| (path.to_owned(), kind.to_owned());
        assert_eq!(
            told(&of_json(&schema)),
            [
                pair("state", r#"one of "open", "paid", "gone""#),
                pair("tags", "array of string"),
            ]
        );
    }

    #[test]
    fn avro_records_are_unfolded() {
        let schema = json!({"type": "record", "name": "A", "fields": [
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
                {"name": "sku", "type": ["null", "string"], "default": null},
            ]}}},
        ]});
        let pair = |path: &str, kind: &str| (path.to_owned(), kind.to_owned());
        assert_eq!(
            told(&of_avro(&schema)),
            [
                pair("at", "long (timestamp-micros)"),
                pair("lines", "array of Line"),
                pair("lines[].sku", "null or string"),
            ]
        );
    }

    fn personal_paths(fields: &[Field]) -> Vec<&str> {
        let marked = fields.iter().filter(|field| field.personal);
        marked.map(|field| field.path.as_str()).collect()
    }

    #[test]
    fn maps_lists_in_lists_and_choices_hide_no_field() {
        let person = json!({"$ref": "#/$defs/Person"});
        let schema = json!({
            "properties": {
                "by_text": {"type": "object", "additionalProperties": person},
                "by_number": {"type": "object", "patternProperties": {"^\\d+$": person}, "additionalProperties": false},
                "by_role": {"type": "object", "properties": {"buyer": person, "payer": person}, "additionalProperties": false},
                "nested": {"type": "array", "items": {"type": "array", "items": person}},
                "either": {"oneOf": [{"type": "string"}, person]},
            },
            "$defs": {"Person": {"type": "object", "properties": {"name": {"type": "string", "x-personal": true}}}},
        });
        assert_eq!(
            personal_paths(&of_json(&schema)),
            [
                "by_number{}.name",
                "by_role.buyer.name",
                "by_role.payer.name",
                "by_text{}.name",
                "either.name",
                "nested[][].name"
            ]
        );
        let schema = json!({"type": "record", "name": "A", "fields": [
            {"name": "by_text", "type": {"type": "map", "values": {"type": "record", "name": "Person", "fields": [
                {"name": "name", "type": "string", "x-personal": true},
                {"name": "friends", "type": {"type": "array", "items": "Person"}},
            ]}}},
            {"name": "nested", "type": {"type": "array", "items": {"type": "array", "items": "Person"}}},
            {"name": "either", "type": ["null", "Person"]},
        ]});
        assert_eq!(
            personal_paths(&of_avro(&schema)),
            ["by_text{}.name", "nested[][].name", "either.name"]
        );
    }
}
