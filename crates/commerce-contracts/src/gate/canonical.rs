//! One form for one schema, so that files differ only where schemas do.

use std::cmp::Ordering;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::keywords::{each_avro, each_schema};

/// What a person wants to read first, and last. All other keys lie between, by the alphabet.
const FIRST: [&str; 9] = [
    "$schema",
    "$id",
    "x-contract",
    "title",
    "description",
    "name",
    "namespace",
    "doc",
    "type",
];
const LAST: [&str; 2] = ["$defs", "definitions"];

/// `required` is a set: its order says nothing, and a moved field is no change.
pub(super) fn normalized(schema: &Value) -> Value {
    each_schema(schema, &|members| {
        if let Some(Value::Array(names)) = members.get_mut("required")
            && names.iter().all(Value::is_string)
        {
            names.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        }
    })
}

/// A JSON Schema without what is only for people.
pub(super) fn meaning(schema: &Value) -> Value {
    const FOR_PEOPLE: [&str; 7] = [
        "$comment",
        "title",
        "description",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
    ];
    each_schema(schema, &|members| {
        members.retain(|keyword, _| !FOR_PEOPLE.contains(&keyword.as_str()));
    })
}

/// An Avro schema without what is only for people.
pub(super) fn avro_meaning(schema: &Value) -> Value {
    each_avro(schema, &|members| {
        members.remove("doc");
    })
}

/// The text of a file: the same for the same schema, whichever features `serde_json` was built with.
pub(super) fn pretty(schema: &Value) -> String {
    let mut text = serde_json::to_string_pretty(&Ordered(schema))
        .unwrap_or_else(|error| unreachable!("JSON is written from JSON: {error}"));
    text.push('\n');
    text
}

/// On one line, in the same order.
pub(super) fn compact(value: &Value) -> String {
    serde_json::to_string(&Ordered(value))
        .unwrap_or_else(|error| unreachable!("JSON is written from JSON: {error}"))
}

struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => {
                let mut members: Vec<(&String, &Value)> = members.iter().collect();
                members.sort_by(|(one, _), (other, _)| order(one, other));
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, &Ordered(value))?;
                }
                map.end()
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
            other => other.serialize(serializer),
        }
    }
}

fn order(one: &str, other: &str) -> Ordering {
    let rank = |key: &str| {
        FIRST
            .iter()
            .position(|first| *first == key)
            .unwrap_or(FIRST.len() + usize::from(LAST.contains(&key)))
    };
    rank(one).cmp(&rank(other)).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_and_of_required_fields_says_nothing() {
        let one = json!({"required": ["b", "a"], "type": "object", "$schema": "s", "properties": {"b": {}, "a": {}}});
        let other = json!({"$schema": "s", "properties": {"a": {}, "b": {}}, "required": ["a", "b"], "type": "object"});
        assert_eq!(normalized(&one), normalized(&other));
        assert_eq!(
            compact(&normalized(&one)),
            r#"{"$schema":"s","type":"object","properties":{"a":{},"b":{}},"required":["a","b"]}"#
        );
    }

    #[test]
    fn what_only_looks_like_a_keyword_is_left_alone() {
        let data = json!({"required": ["b", "a"], "description": "x"});
        let schema = json!({
            "const": data, "enum": [data], "default": data, "examples": [data], "x-other": data,
            "properties": {"required": {"enum": [["b", "a"]]}, "description": {"title": "x", "allOf": [data]}},
        });
        let sorted = json!({"required": ["a", "b"], "description": "x"});
        let mut expected = schema.clone();
        expected["properties"]["description"]["allOf"] = json!([sorted]);
        assert_eq!(normalized(&schema), expected);

        let mut expected = schema.clone();
        expected["properties"]["description"] = json!({"allOf": [{"required": ["b", "a"]}]});
        expected.as_object_mut().unwrap().remove("examples");
        assert_eq!(meaning(&schema), expected);
    }

    #[test]
    fn the_meaning_of_avro_is_without_its_documentation() {
        let field = json!({"name": "doc", "doc": "x", "type": ["null", {"type": "map", "values": "int", "doc": "x"}],
            "default": {"doc": 1}});
        let record = json!({"type": "record", "name": "A", "doc": "x", "fields": [field]});
        let bare = json!({"name": "doc", "type": ["null", {"type": "map", "values": "int"}], "default": {"doc": 1}});
        let meaning = json!({"type": "record", "name": "A", "fields": [bare]});
        assert_eq!(avro_meaning(&record), meaning);
    }

    #[test]
    fn the_order_of_enum_values_is_kept() {
        let schema = json!({"enum": ["b", "a"]});
        assert_eq!(normalized(&schema), schema);
    }
}
