//! Which members of a schema are schemas themselves, and which are data or names.

use serde_json::{Map, Value};

/// Keywords whose value is a schema, or a list of schemas.
const SCHEMAS: [&str; 16] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value has a schema under each name. The names are of the author's choosing: `required` may be one.
const SCHEMAS_BY_NAME: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// A copy in which `edit` has seen the members of every schema, and of nothing that only looks like one: what stands in `const`, `enum`,
/// `default` or `examples` is data.
pub(super) fn each_schema(schema: &Value, edit: &impl Fn(&mut Map<String, Value>)) -> Value {
    match schema {
        Value::Object(members) => {
            let mut copy: Map<String, Value> = members
                .iter()
                .map(|(keyword, value)| (keyword.clone(), member(keyword, value, edit)))
                .collect();
            edit(&mut copy);
            Value::Object(copy)
        }
        other => other.clone(),
    }
}

fn member(keyword: &str, value: &Value, edit: &impl Fn(&mut Map<String, Value>)) -> Value {
    match value {
        Value::Object(by_name) if SCHEMAS_BY_NAME.contains(&keyword) => Value::Object(
            by_name
                .iter()
                .map(|(name, schema)| (name.clone(), each_schema(schema, edit)))
                .collect(),
        ),
        Value::Array(schemas) if SCHEMAS.contains(&keyword) => Value::Array(
            schemas
                .iter()
                .map(|schema| each_schema(schema, edit))
                .collect(),
        ),
        schema if SCHEMAS.contains(&keyword) => each_schema(schema, edit),
        data => data.clone(),
    }
}

/// A copy of an Avro schema in which `edit` has seen every definition and field; defaults are data.
pub(super) fn each_avro(schema: &Value, edit: &impl Fn(&mut Map<String, Value>)) -> Value {
    match schema {
        Value::Array(branches) => {
            Value::Array(branches.iter().map(|one| each_avro(one, edit)).collect())
        }
        Value::Object(members) => {
            let mut copy = members.clone();
            for part in ["type", "items", "values"] {
                if let Some(inner) = copy.get_mut(part) {
                    *inner = each_avro(inner, edit);
                }
            }
            if let Some(Value::Array(fields)) = copy.get_mut("fields") {
                for field in fields {
                    *field = each_avro(field, edit);
                }
            }
            edit(&mut copy);
            Value::Object(copy)
        }
        name => name.clone(),
    }
}
