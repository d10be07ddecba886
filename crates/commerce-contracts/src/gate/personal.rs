//! Which fields a schema marks as personal, so that a mark that is lost is found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::remedy;
use super::schema_set::RecordedContract;
use crate::personal::MARK;

/// Fields that a schema has, as a person would call them.
pub(super) type Fields = BTreeMap<String, Marked>;

/// Whether a field is marked, itself or what it is part of: by one of the alternatives that describe it, and by all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    by_one: bool,
    by_all: bool,
}

/// More fields than this are not followed: a schema can multiply them without end.
const MOST_FIELDS: usize = 20_000;
const DEEPEST: usize = 64;

/// A schema with more fields than can be followed.
#[derive(Debug)]
pub(super) struct TooMany;

/// The fields of the JSON Schemas, of what is written and what is read.
pub(super) fn of_json(contract: &RecordedContract) -> Result<Option<Fields>, TooMany> {
    let mut fields = Fields::new();
    let schemas = [&contract.on_write, &contract.on_read];
    let mut any = false;
    for schema in schemas.into_iter().flatten() {
        any = true;
        let mut walk = Walk::new(schema, &mut fields);
        walk.json("", schema, false, &mut Vec::new())?;
    }
    Ok(any.then_some(fields))
}

/// The fields of the Avro schema.
pub(super) fn of_avro(contract: &RecordedContract) -> Result<Option<Fields>, TooMany> {
    let Some(schema) = &contract.avro else {
        return Ok(None);
    };
    let mut fields = Fields::new();
    let mut walk = Walk::new(schema, &mut fields);
    walk.define(schema, "", 0);
    walk.avro("", schema, "", false, &mut Vec::new())?;
    Ok(Some(fields))
}

/// The topmost fields that were marked and are not, though they are still there. `states` are what was recorded, the oldest first: what
/// counts for a field is the last state that had it.
pub(super) fn lost<'a>(states: impl Iterator<Item = &'a Fields>, new: &Fields) -> Vec<String> {
    let mut newest = BTreeMap::<&str, Marked>::new();
    for fields in states {
        for (name, marked) in fields {
            newest.insert(name, *marked);
        }
    }
    let mut lost = BTreeSet::<String>::new();
    for (name, marked) in newest {
        let inside = |parent: &String| {
            name.strip_prefix(parent.as_str())
                .is_some_and(|rest| parent.is_empty() || rest.starts_with(['.', '[', '{']))
        };
        let is_lost = new
            .get(name)
            .is_some_and(|new| marked.by_one && !new.by_one || marked.by_all && !new.by_all);
        if is_lost && !lost.iter().any(inside) {
            lost.insert(name.to_owned());
        }
    }
    lost.into_iter().collect()
}

struct Walk<'a> {
    root: &'a Value,
    /// Avro's named types, by their full names.
    named: BTreeMap<String, (&'a Value, String)>,
    fields: &'a mut Fields,
    steps: usize,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Value, fields: &'a mut Fields) -> Self {
        Self {
            root,
            named: BTreeMap::new(),
            fields,
            steps: 0,
        }
    }

    /// `open` holds the references that lead here: what contains itself is told of once.
    fn step<T>(&mut self, open: &[T]) -> Result<(), TooMany> {
        self.steps += 1;
        if self.steps > MOST_FIELDS || open.len() > DEEPEST {
            return Err(TooMany);
        }
        Ok(())
    }

    fn found(&mut self, name: &str, marked: bool) {
        let found = Marked {
            by_one: marked,
            by_all: marked,
        };
        let known = self.fields.entry(name.to_owned()).or_insert(found);
        known.by_one |= marked;
        known.by_all &= marked;
    }

    fn json(
        &mut self,
        name: &str,
        schema: &'a Value,
        marked: bool,
        open: &mut Vec<&'a str>,
    ) -> Result<(), TooMany> {
        self.step(open)?;
        let marked = marked || self.marks(schema, DEEPEST);
        self.found(name, marked);
        self.inside(name, schema, marked, open)
    }

    /// Whether the schema, or what it refers to for the same value, says so.
    fn marks(&self, schema: &Value, depth: usize) -> bool {
        schema.get(MARK) == Some(&Value::Bool(true))
            || depth > 0
                && self
                    .target(schema)
                    .is_some_and(|(_, target)| self.marks(target, depth - 1))
    }

    fn target(&self, schema: &'a Value) -> Option<(&'a str, &'a Value)> {
        let target = schema.get("$ref")?.as_str()?;
        Some((target, self.root.pointer(target.strip_prefix('#')?)?))
    }

    /// What lies in the value that `name` is.
    fn inside(
        &mut self,
        name: &str,
        schema: &'a Value,
        marked: bool,
        open: &mut Vec<&'a str>,
    ) -> Result<(), TooMany> {
        if let Some((target, referred)) = self.target(schema)
            && !open.contains(&target)
        {
            open.push(target);
            self.step(open)?;
            self.inside(name, referred, marked, open)?;
            open.pop();
        }
        let Some(members) = schema.as_object() else {
            return Ok(());
        };
        for (keyword, value) in members {
            match (keyword.as_str(), value) {
                ("allOf" | "anyOf" | "oneOf", Value::Array(choices)) => {
                    for choice in choices {
                        self.json(name, choice, marked, open)?;
                    }
                }
                ("if" | "then" | "else", choice) => self.json(name, choice, marked, open)?,
                ("dependentSchemas", Value::Object(choices)) => {
                    for choice in choices.values() {
                        self.json(name, choice, marked, open)?;
                    }
                }
                ("properties", Value::Object(properties)) => {
                    for (property, schema) in properties {
                        let mut name = name.to_owned();
                        remedy::push(&mut name, property);
                        self.json(&name, schema, marked, open)?;
                    }
                }
                ("items" | "prefixItems", Value::Array(items)) => {
                    for item in items {
                        self.json(&format!("{name}[]"), item, marked, open)?;
                    }
                }
                ("items" | "additionalItems" | "contains" | "unevaluatedItems", item) => {
                    self.json(&format!("{name}[]"), item, marked, open)?;
                }
                ("patternProperties", Value::Object(patterns)) => {
                    for value in patterns.values() {
                        self.json(&format!("{name}{{}}"), value, marked, open)?;
                    }
                }
                ("additionalProperties" | "unevaluatedProperties", value) => {
                    self.json(&format!("{name}{{}}"), value, marked, open)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Finds the named types of an Avro schema.
    fn define(&mut self, schema: &'a Value, namespace: &str, depth: usize) {
        if depth > DEEPEST * 4 {
            return;
        }
        match schema {
            Value::Array(branches) => {
                for branch in branches {
                    self.define(branch, namespace, depth + 1);
                }
            }
            Value::Object(members) => {
                let space = namespace_of(schema, namespace);
                if let (Some(name), Some(Value::String(kind))) =
                    (schema["name"].as_str(), members.get("type"))
                    && matches!(kind.as_str(), "record" | "error" | "enum" | "fixed")
                {
                    let short = name.rsplit('.').next().unwrap_or(name);
                    self.named
                        .insert(full_name(short, &space), (schema, namespace.to_owned()));
                }
                for part in ["type", "items", "values"] {
                    if let Some(inner) = members.get(part) {
                        self.define(inner, &space, depth + 1);
                    }
                }
                for field in members
                    .get("fields")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    if let Some(inner) = field.get("type") {
                        self.define(inner, &space, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn avro(
        &mut self,
        name: &str,
        schema: &'a Value,
        namespace: &str,
        marked: bool,
        open: &mut Vec<String>,
    ) -> Result<(), TooMany> {
        self.step(open)?;
        match schema {
            Value::String(kind) => {
                let full = if kind.contains('.') {
                    kind.clone()
                } else {
                    full_name(kind, namespace)
                };
                if let Some((referred, space)) = self.named.get(&full).cloned()
                    && !open.contains(&full)
                {
                    open.push(full);
                    self.avro(name, referred, &space, marked, open)?;
                    open.pop();
                }
                Ok(())
            }
            Value::Array(branches) => {
                for branch in branches {
                    self.avro(name, branch, namespace, marked, open)?;
                }
                Ok(())
            }
            Value::Object(members) => {
                let space = namespace_of(schema, namespace);
                let marked = marked || members.get(MARK) == Some(&Value::Bool(true));
                self.found(name, marked);
                match members.get("type") {
                    Some(Value::String(kind)) if kind == "array" => {
                        let name = format!("{name}[]");
                        self.found(&name, marked);
                        self.avro(&name, &schema["items"], &space, marked, open)
                    }
                    Some(Value::String(kind)) if kind == "map" => {
                        let name = format!("{name}{{}}");
                        self.found(&name, marked);
                        self.avro(&name, &schema["values"], &space, marked, open)
                    }
                    Some(Value::String(kind)) if kind == "record" || kind == "error" => {
                        let short = schema["name"].as_str().unwrap_or_default();
                        let short = short.rsplit('.').next().unwrap_or(short);
                        open.push(full_name(short, &space));
                        for field in schema["fields"].as_array().into_iter().flatten() {
                            let mut name = name.to_owned();
                            remedy::push(&mut name, field["name"].as_str().unwrap_or_default());
                            let marked = marked || field.get(MARK) == Some(&Value::Bool(true));
                            self.found(&name, marked);
                            self.avro(&name, &field["type"], &space, marked, open)?;
                        }
                        open.pop();
                        Ok(())
                    }
                    Some(inner) => self.avro(name, inner, &space, marked, open),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// The namespace inside a definition.
fn namespace_of(schema: &Value, outer: &str) -> String {
    let name = schema["name"].as_str().unwrap_or_default();
    match (name.rsplit_once('.'), schema["namespace"].as_str()) {
        (Some((namespace, _)), _) | (None, Some(namespace)) => namespace.to_owned(),
        (None, None) => outer.to_owned(),
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_fields(schema: Value) -> Result<Vec<(String, bool)>, TooMany> {
        let contract = RecordedContract {
            on_write: Some(schema),
            ..RecordedContract::default()
        };
        Ok(listed(of_json(&contract)?))
    }

    fn avro_fields(schema: Value) -> Vec<(String, bool)> {
        let contract = RecordedContract {
            avro: Some(schema),
            ..RecordedContract::default()
        };
        listed(of_avro(&contract).unwrap())
    }

    fn listed(fields: Option<Fields>) -> Vec<(String, bool)> {
        let fields = fields.unwrap_or_default().into_iter();
        fields.map(|(name, marked)| (name, marked.by_one)).collect()
    }

    fn named(fields: &[(&str, bool)]) -> Vec<(String, bool)> {
        let fields = fields.iter();
        fields
            .map(|(name, marked)| ((*name).to_owned(), *marked))
            .collect()
    }

    #[test]
    fn fields_of_json_through_references_lists_and_choices() {
        let schema = json!({
            "properties": {
                "buyers": {"items": {"$ref": "#/$defs/Buyer"}},
                "notes": {"x-personal": true, "additionalProperties": {"type": "string"}},
                "how": {"anyOf": [{"$ref": "#/$defs/Buyer"}, {"type": "null"}]},
            },
            "$defs": {"Buyer": {"properties": {
                "email": {"$ref": "#/$defs/Email"},
                "friend": {"$ref": "#/$defs/Buyer"},
            }}, "Email": {"x-personal": true}},
        });
        assert_eq!(
            json_fields(schema).unwrap(),
            named(&[
                ("", false),
                ("buyers", false),
                ("buyers[]", false),
                ("buyers[].email", true),
                ("buyers[].friend", false),
                ("how", false),
                ("how.email", true),
                ("how.friend", false),
                ("notes", true),
                ("notes{}", true),
            ])
        );
    }

    #[test]
    fn fields_of_avro_by_the_names_of_types() {
        let buyer = json!({"type": "record", "name": "Buyer", "namespace": "shop", "fields": [
            {"name": "email", "type": {"type": "string", "x-personal": true}},
            {"name": "friend", "type": ["null", "Buyer"]},
        ]});
        let schema = json!({"type": "record", "name": "Placed", "fields": [
            {"name": "buyer", "type": buyer, "x-personal": true},
            {"name": "others", "type": {"type": "map", "values": "shop.Buyer"}},
        ]});
        assert_eq!(
            avro_fields(schema),
            named(&[
                ("", false),
                ("buyer", true),
                ("buyer.email", true),
                ("buyer.friend", true),
                ("others", false),
                ("others{}", false),
                ("others{}.email", true),
                ("others{}.friend", false),
            ])
        );
    }

    #[test]
    fn fields_without_end_are_too_many() {
        let mut definitions = json!({"D40": {}});
        for level in 0..40 {
            let next = json!({"$ref": format!("#/$defs/D{}", level + 1)});
            definitions[format!("D{level}")] = json!({"properties": {"a": next, "b": next}});
        }
        assert!(json_fields(json!({"$ref": "#/$defs/D0", "$defs": definitions})).is_err());
        assert!(json_fields(json!({"$ref": "#"})).is_ok());
    }
}
