//! Schemas that nobody would write, but that may be handed in: the checker answers all of them, and panics on none. Most of them
//! would keep a checker without an allowance busy for ever, and a suite that does not end is noticed: nothing is timed.

use commerce_contracts::compatibility::json::Policy;
use commerce_contracts::compatibility::{Mode, Verdict, avro, json};
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// The schema against itself and against another, both ways. The name tells which one it is that does not end.
fn judge_json(name: &str, schema: &Value) -> Verdict {
    println!("{name}");
    let other =
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "minProperties": 1});
    json::check(schema, &other, Mode::Full, Policy::Strict);
    json::check(schema, schema, Mode::Backward, Policy::default()).verdict()
}

fn nested(depth: usize, wrap: impl Fn(Value) -> Value, innermost: Value) -> Value {
    (0..depth).fold(innermost, |inner, _| wrap(inner))
}

/// `D0` to `D<count - 1>`, each made of the next, and the last of something simple.
fn chain(count: usize, link: impl Fn(&str) -> Value) -> Value {
    let mut definitions = Map::new();
    for index in 0..count {
        let next = format!("#/$defs/D{}", index + 1);
        definitions.insert(format!("D{index}"), link(&next));
    }
    definitions.insert(
        format!("D{count}"),
        json!({"type": "integer", "minimum": 1}),
    );
    json!({"$ref": "#/$defs/D0", "$defs": definitions})
}

#[test]
fn json_schemas_nested_too_deeply_are_not_judged() {
    for wrap in [
        (|inner| json!({"items": inner})) as fn(Value) -> Value,
        |inner| json!({"properties": {"a": inner}}),
        |inner| json!({"not": inner}),
        |inner| json!({"allOf": [inner]}),
        |inner| json!({"anyOf": [inner, {"type": "string"}]}),
        |inner| json!({"if": inner, "then": {"minimum": 1}}),
    ] {
        judge_json("60 levels", &nested(60, wrap, json!({"type": "integer"})));
        let deep = nested(1_000, wrap, json!({"type": "integer"}));
        assert_eq!(judge_json("1000 levels", &deep), Verdict::Unknown);
    }
}

#[test]
fn json_schemas_that_refer_to_each_other_end() {
    let circles = [
        json!({"$ref": "#"}),
        json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}),
        json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({"anyOf": [{"$ref": "#"}, {"type": "string"}]}),
        json!({"oneOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
        json!({"if": {"$ref": "#"}, "then": {"$ref": "#"}, "else": {"$ref": "#"}}),
        json!({"propertyNames": {"$ref": "#"}, "additionalProperties": {"$ref": "#"}}),
        json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
        json!({"type": "array", "items": {"$ref": "#"}, "contains": {"$ref": "#"}, "uniqueItems": true}),
        json!({"type": "array", "prefixItems": [{"$ref": "#"}, {"$ref": "#"}], "unevaluatedItems": {"$ref": "#"}}),
        json!({"dependentSchemas": {"a": {"$ref": "#"}}, "unevaluatedProperties": {"$ref": "#"}}),
    ];
    for circle in &circles {
        judge_json(&circle.to_string(), circle);
    }
    // Each link doubles what a checker without a memory looks at.
    for (name, link) in [
        (
            "allOf",
            (|next| json!({"allOf": [{"$ref": next}, {"$ref": next}]})) as fn(&str) -> Value,
        ),
        (
            "anyOf",
            |next| json!({"anyOf": [{"$ref": next}, {"$ref": next}]}),
        ),
        (
            "oneOf",
            |next| json!({"oneOf": [{"$ref": next}, {"$ref": next, "maximum": 0}]}),
        ),
        (
            "not",
            |next| json!({"not": {"anyOf": [{"$ref": next}, {"$ref": next}]}}),
        ),
        (
            "if",
            |next| json!({"if": {"$ref": next}, "then": {"$ref": next}, "else": {"$ref": next}}),
        ),
        (
            "properties",
            |next| json!({"properties": {"a": {"$ref": next}, "b": {"$ref": next}}, "required": ["a", "b"]}),
        ),
        (
            "contains",
            |next| json!({"type": "array", "contains": {"$ref": next}, "items": {"$ref": next}}),
        ),
        (
            "unevaluated",
            |next| json!({"anyOf": [{"$ref": next}, {"$ref": next}], "unevaluatedProperties": false}),
        ),
    ] {
        judge_json(name, &chain(40, link));
    }
}

#[test]
fn large_json_schemas_are_judged() {
    let many =
        |count: usize, of: fn(usize) -> Value| -> Vec<Value> { (0..count).map(of).collect() };
    let values = json!({"enum": many(5_000, |index| json!(format!("value {index}")))});
    assert_eq!(judge_json("values", &values), Verdict::Compatible);
    let objects = json!({"enum": many(1_000, |index| json!({"a": index, "b": [index]}))});
    assert_eq!(judge_json("objects", &objects), Verdict::Compatible);

    let properties: Map<String, Value> = (0..1_000)
        .map(|index| {
            (
                format!("p{index}"),
                json!({"type": "integer", "minimum": index}),
            )
        })
        .collect();
    let names: Vec<&String> = properties.keys().collect();
    let wide = json!({"type": "object", "properties": properties, "required": names});
    assert_eq!(judge_json("properties", &wide), Verdict::Compatible);

    let tuple =
        json!({"type": "array", "prefixItems": many(1_000, |index| json!({"minimum": index}))});
    assert_eq!(judge_json("tuple", &tuple), Verdict::Compatible);

    let branches = many(
        200,
        |index| json!({"type": "object", "properties": {"kind": {"const": index}}, "required": ["kind"]}),
    );
    judge_json("anyOf", &json!({"anyOf": branches}));
    judge_json("oneOf", &json!({"oneOf": branches}));
    judge_json("allOf", &json!({"allOf": branches}));
    let choice = json!({"anyOf": [{"type": "integer"}, {"minimum": 3}, {"maxLength": 4}]});
    judge_json("choices of choices", &json!({"allOf": vec![choice; 40]}));

    let patterns: Map<String, Value> = (0..100)
        .map(|index| (format!("^p{index}"), json!({"type": "integer"})))
        .collect();
    judge_json(
        "patterns",
        &json!({"type": "object", "patternProperties": patterns, "additionalProperties": false}),
    );
}

#[test]
fn patterns_and_limits_without_measure_are_judged() {
    for pattern in [
        "^(a+)+$",
        "^(a|a)*b$",
        "(x+x+)+y",
        "((((((((a{200}){200}){200}){200}){200}){200}){200}){200})",
        "a{4294967295}",
        "a{4294967295,4294967295}",
        "a{99999999999999999999}",
        "(((((((((((((((((((((((((((((((a",
        "[",
        "\\",
        "(?<=a)b",
        "\u{0}",
    ] {
        judge_json(pattern, &json!({"type": "string", "pattern": pattern}));
        judge_json(
            pattern,
            &json!({"type": "object", "patternProperties": {pattern: {"type": "integer"}}}),
        );
    }
    let most = u64::MAX;
    for limits in [
        json!({"type": "array", "minItems": most, "maxItems": most}),
        json!({"type": "array", "contains": {"type": "integer"}, "minContains": most, "maxContains": most}),
        json!({"type": "string", "minLength": most, "maxLength": most}),
        json!({"type": "object", "minProperties": most, "maxProperties": most}),
        json!({"type": "integer", "minimum": most, "maximum": i64::MIN}),
        json!({"type": "number", "minimum": f64::MAX, "multipleOf": f64::MAX}),
        json!({"type": "number", "maximum": -f64::MAX, "multipleOf": 5e-324}),
        json!({"type": "integer", "minimum": 1e38, "maximum": 1.7e38, "multipleOf": 1.5e38}),
        json!({"type": "integer", "minimum": 0.1, "maximum": 0.2}),
        json!({"type": "number", "exclusiveMinimum": 5e-324, "exclusiveMaximum": 1e-323}),
    ] {
        judge_json(&limits.to_string(), &limits);
    }
}

/// The schema against itself and against another.
fn judge_avro(name: &str, schema: &Value) -> Verdict {
    let other = json!(["null", {"type": "record", "name": "Other", "fields": []}]);
    println!("{name}");
    avro::check(schema, &other, Mode::Full);
    avro::check(schema, schema, Mode::Full).verdict()
}

#[test]
fn avro_schemas_nested_too_deeply_are_not_judged() {
    let array = |inner| json!({"type": "array", "items": inner});
    assert_eq!(
        judge_avro("60 arrays", &nested(60, array, json!("int"))),
        Verdict::Compatible
    );
    assert_ne!(
        judge_avro("1000 arrays", &nested(1_000, array, json!("int"))),
        Verdict::Compatible
    );
    let union = |inner| json!(["null", {"type": "map", "values": inner}]);
    assert_ne!(
        judge_avro("1000 maps", &nested(1_000, union, json!("int"))),
        Verdict::Compatible
    );
    let wrapped = |inner| json!({"type": inner});
    assert_ne!(
        judge_avro("1000 types", &nested(1_000, wrapped, json!("int"))),
        Verdict::Compatible
    );
}

#[test]
fn avro_records_in_records_end() {
    // Every record holds the next twice, and a default that fills all below it.
    let doubling = |default: Option<Value>| {
        let mut schema = json!("int");
        for index in 0..40 {
            let mut first = json!({"name": "a", "type": schema});
            let again = match schema.get("name") {
                Some(name) => name.clone(),
                None => schema.clone(),
            };
            let mut second = json!({"name": "b", "type": again});
            if let Some(default) = &default {
                let of_field = if index == 0 {
                    json!(0)
                } else {
                    default.clone()
                };
                first["default"] = of_field.clone();
                second["default"] = of_field;
            }
            schema =
                json!({"type": "record", "name": format!("R{index}"), "fields": [first, second]});
        }
        schema
    };
    assert_eq!(judge_avro("doubling", &doubling(None)), Verdict::Compatible);
    judge_avro("doubling, with defaults", &doubling(Some(json!({}))));
    let itself = json!({"type": "record", "name": "R", "fields": [
        {"name": "a", "type": ["null", "R"], "default": {}},
        {"name": "b", "type": {"type": "array", "items": "R"}, "default": [{}, {}]}
    ]});
    judge_avro("a default that fills itself", &itself);
}

#[test]
fn large_avro_schemas_are_judged() {
    let symbols: Vec<String> = (0..10_000).map(|index| format!("S{index}")).collect();
    let mut backwards = symbols.clone();
    backwards.reverse();
    let of = |symbols: &[String]| json!({"type": "enum", "name": "E", "symbols": symbols});
    let verdict = avro::check(&of(&symbols), &of(&backwards), Mode::Full).verdict();
    assert_eq!(verdict, Verdict::Compatible);

    let field = |index: usize| json!({"name": format!("f{index}"), "type": "int", "aliases": [format!("g{index}")]});
    let fields: Vec<Value> = (0..3_000).map(field).collect();
    let wide = json!({"type": "record", "name": "R", "fields": fields});
    assert_eq!(judge_avro("fields", &wide), Verdict::Compatible);
    let renamed: Vec<Value> = (0..3_000)
        .map(|index| json!({"name": format!("h{index}"), "type": "int"}))
        .collect();
    let other = json!({"type": "record", "name": "R", "fields": renamed});
    let verdict = avro::check(&wide, &other, Mode::Full).verdict();
    assert_eq!(verdict, Verdict::Incompatible);

    let branch = |index: usize| json!({"type": "record", "name": format!("R{index}"), "aliases": [format!("A{index}")], "fields": []});
    let union: Vec<Value> = (0..300).map(branch).collect();
    assert_eq!(judge_avro("branches", &json!(union)), Verdict::Compatible);
}

/// The pointers of all values in a document.
fn pointers(value: &Value, pointer: &str, all: &mut Vec<String>) {
    all.push(pointer.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{pointer}/{index}"), all);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(member, &format!("{pointer}/{name}"), all);
            }
        }
        _ => {}
    }
}

/// Every schema of the tables with parts of others put into it at random: most are no schemas any more.
fn torn(table: &str) -> Vec<Value> {
    let groups: Map<String, Value> = serde_json::from_str(table).unwrap();
    let rows = groups.values().flat_map(|rows| rows.as_array().unwrap());
    let whole: Vec<&Value> = rows.flat_map(|row| [&row["old"], &row["new"]]).collect();
    let mut parts: Vec<Value> = vec![
        json!(-1),
        json!(0.5),
        json!(u64::MAX),
        json!(""),
        json!("#"),
        json!([]),
        json!({}),
        json!(null),
    ];
    for schema in &whole {
        let mut all = Vec::new();
        pointers(schema, "", &mut all);
        parts.extend(all.iter().map(|at| schema.pointer(at).unwrap().clone()));
    }
    let mut rng = Rng::with_seed(7);
    let mut tear = |schema: &Value| {
        let mut schema = schema.clone();
        for _ in 0..rng.usize(1..4) {
            let mut all = Vec::new();
            pointers(&schema, "", &mut all);
            let at = &all[rng.usize(..all.len())];
            *schema.pointer_mut(at).unwrap() = parts[rng.usize(..parts.len())].clone();
        }
        schema
    };
    (0..4)
        .flat_map(|_| whole.iter().map(|one| tear(one)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn schemas_torn_apart_are_answered() {
    let schemas = torn(include_str!("json.json"));
    for two in schemas.windows(2) {
        json::check(&two[0], &two[1], Mode::Full, Policy::default());
    }
    let schemas = torn(include_str!("avro.json"));
    for two in schemas.windows(2) {
        avro::check(&two[0], &two[1], Mode::Full);
    }
}
