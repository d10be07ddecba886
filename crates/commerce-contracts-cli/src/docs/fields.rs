//! The fields of an event, flat, each with its path.

use serde_json::Value;

/// Deeper than this, and inside itself, a type is named and not unfolded.
const DEEPEST: usize = 8;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// `customer.email`, `items[].sku`.
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
        // A circle ends here; it is told by the type's name.
        let circle = self
            .inside
            .last()
            .is_some_and(|last| self.inside[..self.inside.len() - 1].contains(last));
        if !circle && self.inside.len() < DEEPEST {
            self.object(path, target);
            if let Some(items) = target.get("items") {
                let items = self.follow(items);
                self.object(&format!("{path}[]"), items);
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
    let mut fields = Vec::new();
    avro_record("", schema, 0, &mut fields);
    fields
}

fn avro_record(path: &str, schema: &Value, depth: usize, found: &mut Vec<Field>) {
    let Some(fields) = schema["fields"].as_array().filter(|_| depth < DEEPEST) else {
        return;
    };
    for field in fields {
        let name = field["name"].as_str().unwrap_or_default();
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        found.push(Field {
            path: path.clone(),
            kind: avro_kind(&field["type"]),
            required: field.get("default").is_none(),
            personal: personal(field),
            description: field["doc"].as_str().unwrap_or_default().to_owned(),
        });
        avro_record(&path, &field["type"], depth + 1, found);
        avro_record(
            &format!("{path}[]"),
            &field["type"]["items"],
            depth + 1,
            found,
        );
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
}
