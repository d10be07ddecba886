//! Random JSON Schemas, random edits of them, and random instances, judged by a validator that knows nothing of the checker.

use commerce_contracts::compatibility::json::{Policy, check};
use commerce_contracts::compatibility::{Mode, Verdict};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::Tally;

const NAMES: [&str; 6] = ["a", "b", "c", "x1", "xa", "kind"];
/// Patterns, with what they match told by hand.
type Matches = fn(&str) -> bool;
const PATTERNS: [(&str, Matches); 5] = [
    ("^x", |text| text.starts_with('x')),
    ("a$", |text| text.ends_with('a')),
    ("^[a-c]$", |text| matches!(text, "a" | "b" | "c")),
    (r"^\w\d$", |text| {
        text.len() == 2
            && text.as_bytes()[1].is_ascii_digit()
            && (text.as_bytes()[0].is_ascii_alphanumeric() || text.as_bytes()[0] == b'_')
    }),
    ("", |_| true),
];
const FORMATS: [&str; 6] = ["date", "uuid", "uri", "uri-reference", "email", "int32"];
const TEXTS: [&str; 16] = [
    "",
    "a",
    "b",
    "xa",
    "x1",
    "aaa",
    "kind",
    "2026-01-31",
    "0190a5f0-1111-7222-8333-444455556666",
    "https://example.com/a",
    "/a",
    "someone@example.com",
    "no such format",
    "é",
    "other",
    "abcdef",
];

#[derive(Clone, Copy, PartialEq)]
enum Draft {
    Seven,
    Latest,
}

/// Runs pairs and fails the tally on every instance that a reader refuses though the checker passed the pair.
pub(crate) fn run(seed: u64, pairs: u64, tally: &mut Tally) {
    for index in 0..pairs {
        pair(seed.wrapping_add(index), tally);
    }
}

pub(crate) fn pair(seed: u64, tally: &mut Tally) {
    let mut rng = Rng::with_seed(seed);
    let draft = if rng.u8(..4) == 0 {
        Draft::Seven
    } else {
        Draft::Latest
    };
    let old = document(&mut rng, draft);
    let mut new = old.clone();
    match rng.u8(..20) {
        0 => new = document(&mut rng, draft),
        1 => {} // the same
        _ => {
            for _ in 0..rng.usize(1..8) {
                edit(&mut rng, &mut new, draft);
            }
        }
    }
    let policy = if rng.bool() {
        Policy::Strict
    } else {
        Policy::WriterClosedReaderOpen
    };
    let (writer, reader) = if rng.bool() { (old, new) } else { (new, old) };
    judge(seed, &mut rng, &writer, &reader, policy, tally);
}

pub(crate) fn judge(
    seed: u64,
    rng: &mut Rng,
    writer: &Value,
    reader: &Value,
    policy: Policy,
    tally: &mut Tally,
) {
    let compile = |schema: &Value| {
        jsonschema::options()
            .should_validate_formats(true)
            .build(schema)
    };
    let (Ok(on_write), Ok(on_read)) = (compile(writer), compile(reader)) else {
        tally.skipped += 1;
        return;
    };
    let report = check(writer, reader, Mode::Backward, policy);
    tally.count(report.verdict());
    for finding in report.findings() {
        let Some(instance) = &finding.counterexample else {
            continue;
        };
        tally.counterexamples += 1;
        if !on_write.is_valid(instance) || on_read.is_valid(instance) {
            tally.fail(format!("seed {seed}: wrong counterexample {instance}\n writer {writer}\n reader {reader}\n {finding}"));
        }
    }
    if report.verdict() != Verdict::Compatible {
        return;
    }
    let mut tried = 0;
    for attempt in 0..60 {
        let from = if attempt % 4 == 3 { reader } else { writer };
        let mut instance = instance(rng, from, from, 0);
        if rng.u8(..4) == 0 {
            mutate(rng, &mut instance);
        }
        if !on_write.is_valid(&instance)
            || (policy == Policy::WriterClosedReaderOpen
                && !producible(writer, &[writer], &instance))
        {
            continue;
        }
        tried += 1;
        if !on_read.is_valid(&instance) {
            tally.fail(format!("seed {seed}: {policy:?} passed a change that breaks {instance}\n writer {writer}\n reader {reader}"));
            return;
        }
    }
    tally.instances += tried;
    tally.passed_with_instances += u64::from(tried > 0);
}

fn document(rng: &mut Rng, draft: Draft) -> Value {
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
fn schema(rng: &mut Rng, draft: Draft, depth: u32, first: usize) -> Value {
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

fn scalar(rng: &mut Rng) -> Value {
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

fn keyword(
    rng: &mut Rng,
    draft: Draft,
    depth: u32,
    first: usize,
    schema: &mut Map<String, Value>,
    kind: &str,
) {
    let inner = depth.saturating_sub(1);
    let mut put = |name: &str, value: Value| drop(schema.insert(name.into(), value));
    let names = |rng: &mut Rng| {
        let mut names: Vec<&str> = NAMES.to_vec();
        rng.shuffle(&mut names);
        names.truncate(rng.usize(1..3));
        names
    };
    let name = *rng.choice(NAMES.iter()).unwrap();
    match kind {
        "object" => match rng.u8(..16) {
            0..=3 => {
                let mut properties = Map::new();
                for name in names(rng) {
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
            4 | 5 => put("required", json!(names(rng))),
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
                    json!({"enum": names(rng)})
                },
            ),
            12 if draft == Draft::Latest => put("dependentRequired", json!({name: names(rng)})),
            13 if draft == Draft::Latest && depth > 0 => put(
                "dependentSchemas",
                json!({name: self::schema(rng, draft, inner, first.max(2))}),
            ),
            12 | 13 if draft == Draft::Seven => {
                let value = if rng.bool() {
                    json!(names(rng))
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
        },
        "array" => match rng.u8(..12) {
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
        },
        "string" => match rng.u8(..6) {
            0 | 1 => put("minLength", json!(rng.u8(..4))),
            2 => put("maxLength", json!(rng.u8(..5))),
            3 => put("pattern", json!(PATTERNS[rng.usize(..5)].0)),
            4 => put("format", json!(rng.choice(FORMATS.iter()).unwrap())),
            _ => put("enum", json!(["a", "b", "x1"][..rng.usize(1..4)])),
        },
        "integer" | "number" => match rng.u8(..7) {
            0 => put("minimum", bound(rng)),
            1 => put("maximum", bound(rng)),
            2 => put("exclusiveMinimum", bound(rng)),
            3 => put("exclusiveMaximum", bound(rng)),
            4 => put(
                "multipleOf",
                [json!(1), json!(2), json!(3), json!(4), json!(0.5), json!(6)][rng.usize(..6)]
                    .clone(),
            ),
            5 => put("format", json!("int32")),
            _ => put("minimum", json!(rng.i8(-1..3))),
        },
        _ => {}
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

fn combination(
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

fn edit(rng: &mut Rng, document: &mut Value, draft: Draft) {
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
        8 => {
            for list in ["anyOf", "oneOf", "allOf", "enum"] {
                if let Some(Value::Array(list)) = object.get_mut(list)
                    && list.len() > 1
                {
                    list.remove(rng.usize(..list.len()));
                }
            }
        }
        9 => {
            if let Some(any_of) = object.remove("anyOf") {
                object.insert("oneOf".into(), any_of);
            } else if let Some(one_of) = object.remove("oneOf") {
                object.insert("anyOf".into(), one_of);
            }
        }
        10 => {
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

fn resolved<'a>(root: &'a Value, reference: &Value) -> Option<&'a Value> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

/// An instance that tries to fit the schema.
fn instance(rng: &mut Rng, root: &Value, schema: &Value, depth: u32) -> Value {
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
        "object" => {
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
        "array" => {
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
        "string" => {
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
        "integer" | "number" => {
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
        "null" => Value::Null,
        _ => json!(rng.bool()),
    }
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

fn mutate(rng: &mut Rng, instance: &mut Value) {
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

/// Whether a writer that writes only what it declares may write the instance. Where nothing is declared anything may be written.
fn producible(root: &Value, schemas: &[&Value], instance: &Value) -> bool {
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
                    if let Some(value) = keywords.get(names) {
                        declared |= value.to_string().contains(&format!("{name:?}"));
                    }
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
