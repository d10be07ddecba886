//! Random schemas.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::instances::scalar;
use super::{Draft, FORMATS, NAMES, PATTERNS};

pub(super) fn document(rng: &mut Rng, draft: Draft) -> Value {
    let mut root = schema(rng, draft, 3, 0);
    if rng.u8(..3) > 0 || !root.is_object() {
        root = object_schema(rng, draft, 3);
    }
    let definitions = if draft == Draft::Seven {
        "definitions"
    } else {
        "$defs"
    };
    let mut defs = Map::new();
    for index in 0..3 {
        // A definition refers in place only to later ones, so that no reference runs in a circle.
        defs.insert(format!("D{index}"), schema(rng, draft, 2, index + 1));
    }
    let root = root.as_object_mut().unwrap();
    if root.contains_key("$ref") && draft == Draft::Seven {
        let reference = root.remove("$ref").unwrap();
        root.insert("allOf".into(), json!([{"$ref": reference}]));
    }
    root.insert(definitions.into(), Value::Object(defs));
    let uri = if draft == Draft::Seven {
        "http://json-schema.org/draft-07/schema#"
    } else {
        "https://json-schema.org/draft/2020-12/schema"
    };
    root.insert("$schema".into(), json!(uri));
    Value::Object(root.clone())
}

fn object_schema(rng: &mut Rng, draft: Draft, depth: u32) -> Value {
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    for _ in 0..rng.usize(1..5) {
        keyword(rng, draft, depth, 0, &mut schema, "object");
    }
    let mut properties = Map::new();
    for _ in 0..rng.usize(1..4) {
        properties.insert(
            (*rng.choice(NAMES.iter()).unwrap()).into(),
            self::schema(rng, draft, depth - 1, 0),
        );
    }
    schema.insert("properties".into(), Value::Object(properties));
    Value::Object(schema)
}

/// A schema; in place it refers only to definitions from `first` on.
pub(super) fn schema(rng: &mut Rng, draft: Draft, depth: u32, first: usize) -> Value {
    match rng.u8(..24) {
        0 => return json!(true),
        1 => return json!({}),
        2 if rng.u8(..3) == 0 => return json!(false),
        3 | 4 if first < 3 => return reference(rng, draft, first),
        5 => return json!({"const": scalar(rng)}),
        6 => {
            let values: Vec<Value> = (0..rng.usize(1..4)).map(|_| scalar(rng)).collect();
            let mut unique: Vec<Value> = Vec::new();
            for value in values {
                if !unique.contains(&value) {
                    unique.push(value);
                }
            }
            return json!({"enum": unique});
        }
        _ => {}
    }
    let mut schema = Map::new();
    let kinds = [
        "object", "object", "array", "string", "integer", "number", "null", "boolean",
    ];
    let kind = *rng.choice(kinds.iter()).unwrap();
    match rng.u8(..10) {
        0 => {}
        1 => {
            let other = *rng.choice(kinds.iter()).unwrap();
            schema.insert(
                "type".into(),
                if other == kind {
                    json!(kind)
                } else {
                    json!([kind, other])
                },
            );
        }
        _ => drop(schema.insert("type".into(), json!(kind))),
    }
    for _ in 0..rng.usize(..4) {
        keyword(rng, draft, depth, first, &mut schema, kind);
    }
    if depth > 0 && rng.u8(..4) == 0 {
        combination(rng, draft, depth, first, &mut schema);
    }
    Value::Object(schema)
}

fn reference(rng: &mut Rng, draft: Draft, first: usize) -> Value {
    let definitions = if draft == Draft::Seven {
        "definitions"
    } else {
        "$defs"
    };
    json!({"$ref": format!("#/{definitions}/D{}", rng.usize(first..3))})
}

/// Adds a keyword about instances of the kind.
pub(super) fn keyword(
    rng: &mut Rng,
    draft: Draft,
    depth: u32,
    first: usize,
    schema: &mut Map<String, Value>,
    kind: &str,
) {
    match kind {
        "object" => object_keyword(rng, draft, depth, first, schema),
        "array" => array_keyword(rng, draft, depth, schema),
        "string" => string_keyword(rng, schema),
        "integer" | "number" => number_keyword(rng, schema),
        _ => {}
    }
}

/// One name or two.
fn some_names(rng: &mut Rng) -> Vec<&'static str> {
    let mut names: Vec<&str> = NAMES.to_vec();
    rng.shuffle(&mut names);
    names.truncate(rng.usize(1..3));
    names
}

fn object_keyword(
    rng: &mut Rng,
    draft: Draft,
    depth: u32,
    first: usize,
    schema: &mut Map<String, Value>,
) {
    let inner = depth.saturating_sub(1);
    let name = *rng.choice(NAMES.iter()).unwrap();
    let mut put = |name: &str, value: Value| drop(schema.insert(name.into(), value));
    match rng.u8(..16) {
        0..=3 => {
            let mut properties = Map::new();
            for name in some_names(rng) {
                properties.insert(
                    name.into(),
                    if inner > 0 {
                        self::schema(rng, draft, inner, 0)
                    } else {
                        leaf(rng)
                    },
                );
            }
            put("properties", Value::Object(properties));
        }
        4 | 5 => put("required", json!(some_names(rng))),
        6 => put("additionalProperties", json!(false)),
        7 if inner > 0 => put("additionalProperties", self::schema(rng, draft, inner, 0)),
        8 if inner > 0 => put(
            "patternProperties",
            json!({PATTERNS[rng.usize(..4)].0: self::schema(rng, draft, inner, 0)}),
        ),
        9 => put("minProperties", json!(rng.u8(..3))),
        10 => put("maxProperties", json!(rng.u8(..4))),
        11 => put(
            "propertyNames",
            if rng.bool() {
                json!({"pattern": PATTERNS[rng.usize(..4)].0})
            } else {
                json!({"enum": some_names(rng)})
            },
        ),
        12 if draft == Draft::Latest => put("dependentRequired", json!({name: some_names(rng)})),
        13 if draft == Draft::Latest && depth > 0 => put(
            "dependentSchemas",
            json!({name: self::schema(rng, draft, inner, first.max(2))}),
        ),
        12 | 13 if draft == Draft::Seven => {
            let value = if rng.bool() {
                json!(some_names(rng))
            } else {
                self::schema(rng, draft, inner, first.max(2))
            };
            put("dependencies", json!({name: value}));
        }
        14 if draft == Draft::Latest => put(
            "unevaluatedProperties",
            if rng.bool() { json!(false) } else { leaf(rng) },
        ),
        _ => put("required", json!([name])),
    }
}

fn array_keyword(rng: &mut Rng, draft: Draft, depth: u32, schema: &mut Map<String, Value>) {
    let inner = depth.saturating_sub(1);
    let mut put = |name: &str, value: Value| drop(schema.insert(name.into(), value));
    match rng.u8(..12) {
        0..=2 => put(
            "items",
            if inner > 0 {
                self::schema(rng, draft, inner, 0)
            } else {
                leaf(rng)
            },
        ),
        3 => put("minItems", json!(rng.u8(..3))),
        4 => put("maxItems", json!(rng.u8(..4))),
        5 => put("uniqueItems", json!(rng.bool())),
        6 => put("contains", leaf(rng)),
        7 if draft == Draft::Latest => {
            put("contains", leaf(rng));
            put(
                if rng.bool() {
                    "minContains"
                } else {
                    "maxContains"
                },
                json!(rng.u8(..3)),
            );
        }
        8 | 9 => {
            let tuple: Vec<Value> = (0..rng.usize(1..3)).map(|_| leaf(rng)).collect();
            if draft == Draft::Latest {
                put("prefixItems", json!(tuple));
                if rng.bool() {
                    put("items", json!(false));
                }
            } else {
                put("items", json!(tuple));
                if rng.bool() {
                    put(
                        "additionalItems",
                        if rng.bool() { json!(false) } else { leaf(rng) },
                    );
                }
            }
        }
        10 if draft == Draft::Latest => put(
            "unevaluatedItems",
            if rng.bool() { json!(false) } else { leaf(rng) },
        ),
        _ => put("items", leaf(rng)),
    }
}

fn string_keyword(rng: &mut Rng, schema: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| drop(schema.insert(name.into(), value));
    match rng.u8(..6) {
        0 | 1 => put("minLength", json!(rng.u8(..4))),
        2 => put("maxLength", json!(rng.u8(..5))),
        3 => put("pattern", json!(PATTERNS[rng.usize(..5)].0)),
        4 => put("format", json!(rng.choice(FORMATS.iter()).unwrap())),
        _ => put("enum", json!(["a", "b", "x1"][..rng.usize(1..4)])),
    }
}

fn number_keyword(rng: &mut Rng, schema: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| drop(schema.insert(name.into(), value));
    match rng.u8(..7) {
        0 => put("minimum", bound(rng)),
        1 => put("maximum", bound(rng)),
        2 => put("exclusiveMinimum", bound(rng)),
        3 => put("exclusiveMaximum", bound(rng)),
        4 => put(
            "multipleOf",
            [json!(1), json!(2), json!(3), json!(4), json!(0.5), json!(6)][rng.usize(..6)].clone(),
        ),
        5 => put("format", json!("int32")),
        _ => put("minimum", json!(rng.i8(-1..3))),
    }
}

fn bound(rng: &mut Rng) -> Value {
    if rng.u8(..4) == 0 {
        json!(f64::from(rng.i8(-4..8)) / 2.0)
    } else {
        json!(rng.i8(-2..6))
    }
}

fn leaf(rng: &mut Rng) -> Value {
    match rng.u8(..9) {
        0 => json!({}),
        1 => json!({"const": scalar(rng)}),
        2 => json!({"type": "integer", "minimum": rng.i8(-1..3)}),
        3 => json!({"type": "number", "maximum": rng.i8(0..4)}),
        4 => json!({"type": "string", "minLength": rng.u8(..3)}),
        5 => json!({"type": ["string", "null"]}),
        6 => json!({"enum": ["a", 1, null]}),
        7 => json!({"type": "boolean"}),
        _ => json!({"type": "integer"}),
    }
}

pub(super) fn combination(
    rng: &mut Rng,
    draft: Draft,
    depth: u32,
    first: usize,
    schema: &mut Map<String, Value>,
) {
    let inner = depth - 1;
    let some = |rng: &mut Rng| -> Vec<Value> {
        (0..rng.usize(1..4))
            .map(|_| self::schema(rng, draft, inner, first))
            .collect()
    };
    match rng.u8(..7) {
        0 | 1 => drop(schema.insert("anyOf".into(), json!(some(rng)))),
        2 | 3 => drop(schema.insert("oneOf".into(), json!(some(rng)))),
        4 => drop(schema.insert("allOf".into(), json!(some(rng)))),
        5 => drop(schema.insert("not".into(), self::schema(rng, draft, inner, first))),
        _ => {
            schema.insert("if".into(), self::schema(rng, draft, inner, first));
            if rng.bool() {
                schema.insert("then".into(), self::schema(rng, draft, inner, first));
            }
            if rng.bool() {
                schema.insert("else".into(), self::schema(rng, draft, inner, first));
            }
        }
    }
}
