//! What writers write that write only what they declare.

use serde_json::{Map, Value, json};

use super::PATTERNS;
use super::instances::resolved;

/// Whether a writer that writes only what it declares may write the instance. Where nothing is declared anything may be written.
pub(super) fn producible(root: &Value, schemas: &[&Value], instance: &Value) -> bool {
    let mut all: Vec<&Map<String, Value>> = Vec::new();
    let mut rest: Vec<&Value> = schemas.to_vec();
    while let Some(schema) = rest.pop() {
        let Some(keywords) = schema.as_object() else {
            continue;
        };
        if all.iter().any(|other| std::ptr::eq(*other, keywords)) {
            continue;
        }
        all.push(keywords);
        rest.extend(
            keywords
                .get("$ref")
                .and_then(|reference| resolved(root, reference)),
        );
        for list in ["anyOf", "oneOf", "allOf"] {
            rest.extend(
                keywords
                    .get(list)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten(),
            );
        }
        for one in ["not", "if", "then", "else"] {
            rest.extend(keywords.get(one));
        }
        for map in ["dependentSchemas", "dependencies"] {
            rest.extend(
                keywords
                    .get(map)
                    .and_then(Value::as_object)
                    .into_iter()
                    .flat_map(Map::values),
            );
        }
    }
    match instance {
        Value::Object(members) => members.iter().all(|(name, value)| {
            let mut inner: Vec<&Value> = Vec::new();
            let mut described = false;
            let mut declared = false;
            for keywords in &all {
                let properties = keywords.get("properties").and_then(Value::as_object);
                described |= properties.is_some_and(|properties| !properties.is_empty())
                    || keywords.contains_key("patternProperties");
                let own = properties.and_then(|properties| properties.get(name));
                declared |= own.is_some();
                inner.extend(own);
                for (pattern, schema) in keywords
                    .get("patternProperties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                {
                    if PATTERNS.iter().find(|(text, _)| text == pattern).unwrap().1(name) {
                        declared = true;
                        inner.push(schema);
                    }
                }
                for further in ["additionalProperties", "unevaluatedProperties"] {
                    if let Some(schema) = keywords.get(further) {
                        declared |= *schema != json!(false);
                        described |= *schema == json!(false);
                        inner.push(schema);
                    }
                }
                for names in [
                    "required",
                    "dependentRequired",
                    "dependencies",
                    "dependentSchemas",
                ] {
                    declared |= keywords
                        .get(names)
                        .is_some_and(|value| mentions(value, name));
                }
            }
            (declared || !described) && producible(root, &inner, value)
        }),
        Value::Array(items) => items.iter().enumerate().all(|(index, item)| {
            let mut inner: Vec<&Value> = Vec::new();
            for keywords in &all {
                for tuple in ["prefixItems", "items"] {
                    inner.extend(
                        keywords
                            .get(tuple)
                            .and_then(Value::as_array)
                            .and_then(|tuple| tuple.get(index)),
                    );
                }
                for rest in ["items", "additionalItems", "unevaluatedItems", "contains"] {
                    inner.extend(keywords.get(rest).filter(|schema| !schema.is_array()));
                }
            }
            producible(root, &inner, item)
        }),
        _ => true,
    }
}

/// Whether the name is in the list; or is a key, or is in a list under one.
fn mentions(value: &Value, name: &str) -> bool {
    match value {
        Value::Array(names) => names.iter().any(|one| one == name),
        Value::Object(map) => {
            map.contains_key(name)
                || map
                    .values()
                    .any(|one| one.is_array() && mentions(one, name))
        }
        _ => false,
    }
}
