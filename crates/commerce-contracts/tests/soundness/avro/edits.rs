//! Random edits of schemas.

use std::collections::HashMap;

use fastrand::Rng;
use serde_json::{Value, json};

use super::names;
use super::schemas::{FIELDS, Maker, SYMBOLS, default, logical};

/// The places of all schemas.
pub(super) fn places(schema: &Value, pointer: &str, all: &mut Vec<String>) {
    all.push(pointer.to_owned());
    match schema {
        Value::Array(branches) => {
            for (index, branch) in branches.iter().enumerate() {
                places(branch, &format!("{pointer}/{index}"), all);
            }
        }
        Value::Object(object) => {
            for inner in ["items", "values"] {
                if let Some(schema) = object.get(inner) {
                    places(schema, &format!("{pointer}/{inner}"), all);
                }
            }
            for (index, field) in object
                .get("fields")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .enumerate()
            {
                places(
                    &field["type"],
                    &format!("{pointer}/fields/{index}/type"),
                    all,
                );
            }
        }
        _ => {}
    }
}

pub(super) fn edit(rng: &mut Rng, document: &mut Value) {
    let mut all = Vec::new();
    places(document, "", &mut all);
    let pointer = all[rng.usize(..all.len())].clone();
    let root = pointer.is_empty();
    if rng.u8(..12) == 0 {
        return rename(rng, document);
    }
    let mut maker = Maker::after(rng.usize(100..100_000));
    let target = document.pointer_mut(&pointer).unwrap();
    let kind = target
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    match (kind.as_str(), target) {
        ("record", target) if root || rng.u8(..4) > 0 => {
            let fields = target["fields"].as_array_mut().unwrap();
            let at = rng.usize(..fields.len().max(1));
            match rng.u8(..8) {
                0 if fields.len() > 1 => drop(fields.remove(at)),
                1 | 2 => {
                    let name = format!("f_{}", FIELDS[rng.usize(..5)]);
                    if !fields.iter().any(|field| field["name"] == json!(name)) {
                        let schema = maker.schema(rng, 1);
                        let mut field = json!({"name": name, "type": schema});
                        if rng.u8(..4) > 0
                            && let Some(default) = default(&field["type"])
                        {
                            field["default"] = default;
                        }
                        fields.insert(at, field);
                    }
                }
                3 => rng.shuffle(fields),
                4 if !fields.is_empty() => {
                    let name = format!("f_{}", FIELDS[rng.usize(..5)]);
                    if !fields.iter().any(|field| field["name"] == json!(name)) {
                        let old = fields[at]["name"].take();
                        fields[at]["name"] = json!(name);
                        if rng.bool() {
                            fields[at]["aliases"] = json!([old]);
                        }
                    }
                }
                5 if !fields.is_empty() => {
                    let schema = fields[at]["type"].clone();
                    if let Some(default) = default(&schema) {
                        fields[at]["default"] = default;
                    }
                }
                6 if !fields.is_empty() => {
                    drop(fields[at].as_object_mut().unwrap().remove("default"));
                }
                _ => {}
            }
        }
        ("enum", target) => edit_enum(rng, target),
        ("fixed", target) => target["size"] = json!(rng.usize(1..4)),
        (_, target) if !root => {
            *target = match (target.clone(), rng.u8(..8)) {
                (Value::Array(mut branches), 0..=4) => {
                    match rng.u8(..3) {
                        0 => rng.shuffle(&mut branches),
                        1 if branches.len() > 1 => drop(branches.pop()),
                        _ => branches.push(maker.schema(rng, 0)),
                    }
                    json!(branches)
                }
                (Value::Array(branches), 5) => branches[0].clone(),
                (schema, 0) if !schema.is_array() => json!(["null", schema]),
                (schema, 1) if !schema.is_array() => json!([schema, "null"]),
                (Value::String(name), 2..=5) => match name.as_str() {
                    "int" => json!(["long", "float", "double"][rng.usize(..3)]),
                    "long" => json!(["float", "double", "int"][rng.usize(..3)]),
                    "float" => json!("double"),
                    "string" => json!("bytes"),
                    "bytes" => json!("string"),
                    _ => maker.schema(rng, 1),
                },
                (Value::Object(object), 2..=5) if object.contains_key("logicalType") => {
                    if rng.bool() {
                        object["type"].clone()
                    } else {
                        logical(rng)
                    }
                }
                _ => maker.schema(rng, 1),
            };
        }
        _ => {}
    }
}

fn edit_enum(rng: &mut Rng, target: &mut Value) {
    match rng.u8(..4) {
        0 => {
            let symbols = target["symbols"].as_array_mut().unwrap();
            if symbols.len() > 1 {
                symbols.pop();
            }
        }
        1 => {
            let symbols = target["symbols"].as_array_mut().unwrap();
            let symbol = json!(SYMBOLS[rng.usize(..4)]);
            if !symbols.contains(&symbol) {
                symbols.insert(0, symbol);
            }
        }
        2 => target["default"] = json!("A"),
        _ => drop(target.as_object_mut().unwrap().remove("default")),
    }
}

/// Renames a type, or the namespace of all, with or without an alias.
fn rename(rng: &mut Rng, document: &mut Value) {
    if rng.bool() {
        *document = serde_json::from_str(&document.to_string().replace("\"n.", "\"m.")).unwrap();
        return;
    }
    let mut all = HashMap::new();
    names(document, &mut all);
    let mut known: Vec<String> = all.into_keys().collect();
    known.sort_unstable();
    let old = &known[rng.usize(..known.len())];
    let new = format!("{old}x");
    let alias = if rng.bool() {
        format!("\"name\":\"{new}\",\"aliases\":[\"{old}\"]")
    } else {
        format!("\"name\":\"{new}\"")
    };
    let text = document.to_string();
    let text = text
        .replace(&format!("\"name\":\"{old}\""), "\u{1}")
        .replace(&format!("\"{old}\""), &format!("\"{new}\""))
        .replace('\u{1}', &alias);
    *document = serde_json::from_str(&text).unwrap();
}
