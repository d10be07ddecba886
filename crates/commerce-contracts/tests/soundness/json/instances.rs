//! Random instances: such as try to fit a schema, and such as do not.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{NAMES, PATTERNS, TEXTS};

pub(super) fn resolved<'a>(root: &'a Value, reference: &Value) -> Option<&'a Value> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

/// An instance that tries to fit the schema.
pub(super) fn instance(rng: &mut Rng, root: &Value, schema: &Value, depth: u32) -> Value {
    let Some(keywords) = schema.as_object() else {
        return any(rng, depth);
    };
    if depth > 6 || rng.u8(..16) == 0 {
        return any(rng, depth);
    }
    if let Some(target) = keywords
        .get("$ref")
        .and_then(|reference| resolved(root, reference))
        && rng.u8(..6) > 0
    {
        return instance(rng, root, target, depth + 1);
    }
    if let Some(value) = keywords.get("const") {
        return value.clone();
    }
    if let Some(Value::Array(values)) = keywords.get("enum")
        && !values.is_empty()
    {
        return values[rng.usize(..values.len())].clone();
    }
    let mut parts: Vec<&Value> = Vec::new();
    for list in ["anyOf", "oneOf"] {
        if let Some(Value::Array(list)) = keywords.get(list) {
            parts.extend(rng.choice(list.iter()));
        }
    }
    if let Some(Value::Array(list)) = keywords.get("allOf") {
        parts.extend(list);
    }
    for branch in ["if", "then", "else"] {
        if rng.bool() {
            parts.extend(keywords.get(branch));
        }
    }
    if let Some(Value::Object(map)) = keywords
        .get("dependentSchemas")
        .or(keywords.get("dependencies"))
    {
        parts.extend(map.values().filter(|value| value.is_object()));
    }
    let own = own_instance(rng, root, keywords, depth);
    if parts.is_empty() {
        return own;
    }
    let chosen = parts[rng.usize(..parts.len())];
    let part = instance(rng, root, chosen, depth + 1);
    match (own, part) {
        (Value::Object(mut own), Value::Object(part)) => {
            for (name, value) in part {
                if rng.bool() || !own.contains_key(&name) {
                    own.insert(name, value);
                }
            }
            Value::Object(own)
        }
        (own, part) => {
            if rng.bool() {
                part
            } else {
                own
            }
        }
    }
}

fn own_instance(rng: &mut Rng, root: &Value, keywords: &Map<String, Value>, depth: u32) -> Value {
    let kind = match keywords.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds[rng.usize(..kinds.len())].as_str().unwrap(),
        _ if [
            "properties",
            "required",
            "additionalProperties",
            "patternProperties",
            "minProperties",
        ]
        .iter()
        .any(|key| keywords.contains_key(*key)) =>
        {
            "object"
        }
        _ if ["items", "prefixItems", "contains", "minItems"]
            .iter()
            .any(|key| keywords.contains_key(*key)) =>
        {
            "array"
        }
        _ if ["minLength", "maxLength", "pattern", "format"]
            .iter()
            .any(|key| keywords.contains_key(*key)) =>
        {
            "string"
        }
        _ => return any(rng, depth),
    };
    match kind {
        "object" => object(rng, root, keywords, depth),
        "array" => array(rng, root, keywords, depth),
        "string" => string(rng, keywords),
        "integer" | "number" => limited(rng, keywords),
        "null" => Value::Null,
        _ => json!(rng.bool()),
    }
}

fn object(rng: &mut Rng, root: &Value, keywords: &Map<String, Value>, depth: u32) -> Value {
    let mut object = Map::new();
    let empty = Map::new();
    let properties = keywords
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    for (name, schema) in properties {
        if rng.u8(..5) > 1 {
            object.insert(name.clone(), instance(rng, root, schema, depth + 1));
        }
    }
    for name in keywords
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = name.as_str().unwrap();
        let schema = properties
            .get(name)
            .or(keywords.get("additionalProperties"))
            .unwrap_or(&Value::Null);
        object.insert(name.into(), instance(rng, root, schema, depth + 1));
    }
    for (pattern, schema) in keywords
        .get("patternProperties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let matches = PATTERNS.iter().find(|(text, _)| text == pattern).unwrap().1;
        for name in NAMES {
            if matches(name) && rng.bool() {
                object.insert(name.into(), instance(rng, root, schema, depth + 1));
            }
        }
    }
    if rng.u8(..3) == 0 {
        let name = if rng.bool() {
            "zz"
        } else {
            NAMES[rng.usize(..6)]
        };
        let schema = keywords
            .get("additionalProperties")
            .or(keywords.get("unevaluatedProperties"))
            .unwrap_or(&Value::Null);
        let value = instance(rng, root, schema, depth + 1);
        object.entry(name).or_insert(value);
    }
    Value::Object(object)
}

fn array(rng: &mut Rng, root: &Value, keywords: &Map<String, Value>, depth: u32) -> Value {
    let least = keywords
        .get("minItems")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let tuple = keywords
        .get("prefixItems")
        .or(keywords.get("items").filter(|items| items.is_array()));
    let rest = keywords
        .get("items")
        .filter(|items| !items.is_array())
        .or(keywords.get("additionalItems"))
        .or(keywords.get("unevaluatedItems"));
    let count = least
        + rng.u64(..3)
        + tuple
            .and_then(Value::as_array)
            .map_or(0, |tuple| rng.u64(..=tuple.len() as u64));
    let items = (0..count).map(|index| {
        let index = usize::try_from(index).unwrap();
        let of_tuple = tuple.and_then(|tuple| tuple.get(index));
        let contained = keywords.get("contains").filter(|_| rng.u8(..3) == 0);
        instance(
            rng,
            root,
            contained.or(of_tuple).or(rest).unwrap_or(&Value::Null),
            depth + 1,
        )
    });
    Value::Array(items.collect())
}

fn string(rng: &mut Rng, keywords: &Map<String, Value>) -> Value {
    if rng.bool()
        && let Some(length) = keywords
            .get("minLength")
            .or(keywords.get("maxLength"))
            .and_then(Value::as_u64)
    {
        return json!("a".repeat(usize::try_from(length).unwrap()));
    }
    json!(TEXTS[rng.usize(..TEXTS.len())])
}

/// A number around the limits.
fn limited(rng: &mut Rng, keywords: &Map<String, Value>) -> Value {
    let limits: Vec<f64> = [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ]
    .iter()
    .filter_map(|key| keywords.get(*key)?.as_f64())
    .collect();
    let base = if limits.is_empty() {
        f64::from(rng.i8(-3..8))
    } else {
        limits[rng.usize(..limits.len())]
    };
    number(rng, base)
}

#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
fn number(rng: &mut Rng, base: f64) -> Value {
    let number = base + f64::from(rng.i8(-4..5)) / if rng.bool() { 1.0 } else { 2.0 };
    if number.fract() == 0.0 && rng.u8(..5) > 0 {
        json!(number as i64)
    } else {
        json!(number)
    }
}

fn any(rng: &mut Rng, depth: u32) -> Value {
    match rng.u8(..8) {
        0 | 1 if depth < 4 => {
            let mut object = Map::new();
            for _ in 0..rng.usize(..4) {
                object.insert(NAMES[rng.usize(..6)].into(), any(rng, depth + 1));
            }
            Value::Object(object)
        }
        2 if depth < 4 => Value::Array((0..rng.usize(..3)).map(|_| any(rng, depth + 1)).collect()),
        3 | 4 => number(rng, 0.0),
        5 => json!(TEXTS[rng.usize(..TEXTS.len())]),
        _ => scalar(rng),
    }
}

pub(super) fn mutate(rng: &mut Rng, instance: &mut Value) {
    match instance {
        Value::Object(object) if !object.is_empty() => {
            let names: Vec<String> = object.keys().cloned().collect();
            let name = &names[rng.usize(..names.len())];
            match rng.u8(..4) {
                0 => drop(object.remove(name)),
                1 => drop(object.insert(NAMES[rng.usize(..6)].into(), any(rng, 3))),
                _ => mutate(rng, object.get_mut(name).unwrap()),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = rng.usize(..items.len());
            match rng.u8(..4) {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                _ => mutate(rng, &mut items[index]),
            }
        }
        other => *other = any(rng, 3),
    }
}

pub(super) fn scalar(rng: &mut Rng) -> Value {
    match rng.u8(..12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(1.0),
        3 => json!(0.5),
        4 => json!(false),
        5 => json!({"a": 1}),
        6 => json!([1]),
        7 | 8 => json!(rng.i64(-2..4)),
        _ => json!(rng.choice(TEXTS[..6].iter()).unwrap()),
    }
}
