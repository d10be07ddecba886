//! Random edits of schemas.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::instances::scalar;
use super::schemas::{combination, keyword, schema};
use super::{Draft, NAMES};

/// Pointers to all schemas in a document, and whether they stand in a definition.
fn places(schema: &Value, pointer: &str, all: &mut Vec<String>) {
    all.push(pointer.to_owned());
    let Some(schema) = schema.as_object() else {
        return;
    };
    for (keyword, value) in schema {
        let at = format!("{pointer}/{keyword}");
        match (keyword.as_str(), value) {
            (
                "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions",
                Value::Object(map),
            ) => {
                for (name, value) in map {
                    places(value, &format!("{at}/{name}"), all);
                }
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(list)) => {
                for (index, value) in list.iter().enumerate() {
                    places(value, &format!("{at}/{index}"), all);
                }
            }
            (
                "items"
                | "additionalItems"
                | "contains"
                | "additionalProperties"
                | "propertyNames"
                | "not"
                | "if"
                | "then"
                | "else"
                | "unevaluatedProperties"
                | "unevaluatedItems",
                value,
            ) => places(value, &at, all),
            _ => {}
        }
    }
}

pub(super) fn edit(rng: &mut Rng, document: &mut Value, draft: Draft) {
    let mut all = Vec::new();
    places(document, "", &mut all);
    let pointer = all[rng.usize(..all.len())].clone();
    // Inside a definition, references in place could run in a circle: there edits make none.
    let first = if pointer.contains("efinitions/") || pointer.contains("$defs/") {
        3
    } else {
        2
    };
    let root = pointer.is_empty();
    let target = document.pointer_mut(&pointer).unwrap();
    let fresh = |rng: &mut Rng| schema(rng, draft, 1, first);
    if !target.is_object() {
        if !root {
            *target = fresh(rng);
        }
        return;
    }
    let whole = target.clone();
    let object = target.as_object_mut().unwrap();
    match rng.u8(..20) {
        0 | 1 => {
            let keys: Vec<String> = object
                .keys()
                .filter(|key| !matches!(key.as_str(), "$schema" | "$defs" | "definitions"))
                .cloned()
                .collect();
            if !keys.is_empty() {
                object.remove(&keys[rng.usize(..keys.len())]);
            }
        }
        2 if !root => *target = fresh(rng),
        3 if !root => *target = json!({"anyOf": [whole, fresh(rng)]}),
        4 if !root => *target = json!({"oneOf": [whole, fresh(rng)]}),
        5 if !root => *target = json!({"allOf": [whole, fresh(rng)]}),
        6 if !root => *target = json!({"allOf": [whole]}),
        7 => combination(rng, draft, 1, first, object),
        8 => shorten_list(rng, object),
        9 => swap_sum(object),
        10 => lengthen_list(rng, object, &fresh),
        11 => {
            object.insert(
                "type".into(),
                json!(["object", "integer", "number", "string", "array"][rng.usize(..5)]),
            );
        }
        12 | 13 => {
            for (keyword, value) in object.iter_mut() {
                if (keyword.starts_with("min")
                    || keyword.starts_with("max")
                    || keyword.starts_with("exclusive"))
                    && let Some(number) = value.as_i64()
                {
                    *value = json!((number + rng.i64(-1..2)).max(0));
                }
            }
        }
        14 => {
            let name = *rng.choice(NAMES.iter()).unwrap();
            if let Some(Value::Object(properties)) = object.get_mut("properties")
                && properties.remove(name).is_none()
            {
                properties.insert(name.into(), fresh(rng));
            }
        }
        15 => {
            let name = *rng.choice(NAMES.iter()).unwrap();
            match object.get_mut("required") {
                Some(Value::Array(required)) => match required.iter().position(|one| one == name) {
                    Some(at) => drop(required.remove(at)),
                    None => required.push(json!(name)),
                },
                _ => drop(object.insert("required".into(), json!([name]))),
            }
        }
        _ => {
            let kind = match object.get("type").and_then(Value::as_str) {
                Some(kind) => kind.to_owned(),
                None => ["object", "array", "string", "number"][rng.usize(..4)].to_owned(),
            };
            keyword(rng, draft, 2, first, object, &kind);
        }
    }
}

/// Takes something out of a list of branches or values.
fn shorten_list(rng: &mut Rng, object: &mut Map<String, Value>) {
    for list in ["anyOf", "oneOf", "allOf", "enum"] {
        if let Some(Value::Array(list)) = object.get_mut(list)
            && list.len() > 1
        {
            list.remove(rng.usize(..list.len()));
        }
    }
}

/// `anyOf` becomes `oneOf`, and the other way round.
fn swap_sum(object: &mut Map<String, Value>) {
    if let Some(any_of) = object.remove("anyOf") {
        object.insert("oneOf".into(), any_of);
    } else if let Some(one_of) = object.remove("oneOf") {
        object.insert("anyOf".into(), one_of);
    }
}

/// Adds something to the lists of branches and values.
fn lengthen_list(
    rng: &mut Rng,
    object: &mut Map<String, Value>,
    fresh: &dyn Fn(&mut Rng) -> Value,
) {
    for list in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(list)) = object.get_mut(list) {
            list.push(fresh(rng));
        }
    }
    if let Some(Value::Array(list)) = object.get_mut("enum") {
        let value = scalar(rng);
        if !list.contains(&value) {
            list.push(value);
        }
    }
}
