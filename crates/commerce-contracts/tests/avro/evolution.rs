//! Data of one schema read by another: the rules of the specification, each against apache-avro where it follows them.

use std::collections::BTreeMap;

use commerce_contracts::avro::{Decoder, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::peer;

fn schema(json: &Value) -> Schema {
    Schema::from_json(json).unwrap()
}

fn record(fields: &Value) -> Value {
    json!({"type": "record", "name": "R", "fields": fields})
}

/// The value as read by the reader's schema: or what refuses it, the schemas or the data.
fn read(writer: &Value, reader: &Value, value: &Value) -> Result<Value, String> {
    let (writer, reader) = (schema(writer), schema(reader));
    let data = writer.encode(value).unwrap();
    let decoder = Decoder::new(&writer, &reader).map_err(|error| format!("schemas: {error}"))?;
    decoder
        .decode(&data)
        .map_err(|error| format!("data: {error}"))
}

/// As [`read`], with apache-avro's agreement.
fn agreed(writer: &Value, reader: &Value, value: &Value) -> Result<Value, String> {
    let ours = read(writer, reader, value);
    let data = schema(writer).encode(value).unwrap();
    let theirs = peer::read(&schema(writer), Some(&schema(reader)), &data);
    assert_eq!(
        ours.as_ref().ok(),
        theirs.map(peer::to_json).ok().as_ref(),
        "{writer} read by {reader}: {ours:?}"
    );
    ours
}

#[test]
fn fields_are_added_removed_reordered_and_renamed() {
    let old = record(&json!([
        {"name": "a", "type": "int"}, {"name": "gone", "type": {"type": "map", "values": ["null", "string"]}},
        {"name": "b", "type": "string"}, {"name": "renamed", "type": "long"}]));
    let new = record(&json!([
        {"name": "b", "type": "string"}, {"name": "added", "type": {"type": "array", "items": "int"}, "default": [1, 2]},
        {"name": "new_name", "aliases": ["renamed"], "type": "long"}, {"name": "a", "type": "int"},
        {"name": "nothing", "type": ["null", "int"], "default": null}]));
    let value = json!({"a": 1, "gone": {"x": "y", "z": null}, "b": "text", "renamed": 7});
    let expected = json!({"a": 1, "b": "text", "new_name": 7, "added": [1, 2], "nothing": null});
    assert_eq!(read(&old, &new, &value), Ok(expected));
    // apache-avro does not follow aliases of fields: without them we agree.
    let mut old = old;
    old["fields"][3]["name"] = json!("new_name");
    let value = json!({"a": 1, "gone": {"x": "y", "z": null}, "b": "text", "new_name": 7});
    agreed(&old, &new, &value).unwrap();
}

#[test]
fn numbers_and_texts_are_promoted() {
    for (old, new, value, expected) in [
        ("int", "long", json!(7), json!(7)),
        ("int", "float", json!(7), json!(7.0)),
        ("int", "double", json!(7), json!(7.0)),
        ("long", "float", json!(7), json!(7.0)),
        ("long", "double", json!(7), json!(7.0)),
        ("string", "string", json!("a"), json!("a")),
    ] {
        assert_eq!(
            agreed(&json!(old), &json!(new), &value),
            Ok(expected),
            "{old} {new}"
        );
    }
    for (old, new, value) in [
        ("long", "int", json!(7)),
        ("double", "long", json!(0.5)),
        ("string", "int", json!("7")),
        ("null", "int", json!(null)),
        ("boolean", "int", json!(true)),
    ] {
        assert!(
            read(&json!(old), &json!(new), &value)
                .unwrap_err()
                .starts_with("schemas: "),
            "{old} {new}"
        );
    }
    let (text, bytes, float) = (
        schema(&json!("string")),
        schema(&json!("bytes")),
        schema(&json!("float")),
    );
    let decoder = Decoder::new(&text, &bytes).unwrap();
    assert_eq!(
        decoder
            .decode::<Vec<u8>>(&text.encode("ab").unwrap())
            .unwrap(),
        b"ab"
    );
    let decoder = Decoder::new(&bytes, &text).unwrap();
    assert_eq!(decoder.decode::<String>(&[4, b'a', b'b']).unwrap(), "ab");
    assert!(decoder.decode::<String>(&[2, 0xff]).is_err());
    let double = schema(&json!("double"));
    let decoder = Decoder::new(&float, &double).unwrap();
    assert!(
        (decoder
            .decode::<f64>(&float.encode(&0.5_f32).unwrap())
            .unwrap()
            - 0.5)
            .abs()
            < f64::EPSILON
    );
}

#[test]
fn unions_widen_and_narrow() {
    let optional = json!(["null", "string"]);
    assert_eq!(
        agreed(&json!("string"), &optional, &json!("a")),
        Ok(json!("a"))
    );
    assert_eq!(
        agreed(&optional, &json!("string"), &json!("a")),
        Ok(json!("a"))
    );
    assert!(
        agreed(&optional, &json!("string"), &json!(null))
            .unwrap_err()
            .starts_with("data: ")
    );
    assert_eq!(
        agreed(&optional, &json!(["string", "null"]), &json!(null)),
        Ok(json!(null))
    );
    assert_eq!(
        agreed(
            &json!(["int", "string"]),
            &json!(["string", "long"]),
            &json!(7)
        ),
        Ok(json!(7))
    );
    assert!(
        read(
            &json!(["int", "string"]),
            &json!(["string", "boolean"]),
            &json!(7)
        )
        .unwrap_err()
        .starts_with("data: ")
    );
    assert!(
        read(&json!(["null", "int"]), &json!("string"), &json!(7))
            .unwrap_err()
            .starts_with("schemas: ")
    );
}

#[test]
fn symbols_that_the_reader_lacks_are_its_default() {
    let symbols = |symbols: &[&str], default: Option<&str>| {
        let mut json = json!({"type": "enum", "name": "E", "symbols": symbols});
        if let Some(default) = default {
            json["default"] = json!(default);
        }
        json
    };
    let old = symbols(&["A", "B"], None);
    assert_eq!(
        agreed(&old, &symbols(&["B", "A"], None), &json!("B")),
        Ok(json!("B"))
    );
    assert_eq!(
        agreed(&old, &symbols(&["A", "C"], Some("C")), &json!("B")),
        Ok(json!("C"))
    );
    let error = agreed(&old, &symbols(&["A", "C"], None), &json!("B")).unwrap_err();
    assert!(error.contains("no default"), "{error}");
}

#[test]
fn named_types_match_by_their_simple_name_or_an_alias() {
    let named = |name: &str, aliases: &[&str]| json!({"type": "record", "name": name, "aliases": aliases, "fields": [{"name": "a", "type": "int"}]});
    let value = json!({"a": 1});
    for (old, new, aliases) in [
        ("x.R", "x.R", &[][..]),
        ("x.R", "y.R", &[]),
        ("x.Old", "y.R", &["x.Old"]),
        ("y.Old", "y.R", &["Old"]),
    ] {
        assert_eq!(
            read(&named(old, &[]), &named(new, aliases), &value).as_ref(),
            Ok(&value),
            "{old} {new}"
        );
    }
    let error = read(&named("x.Old", &[]), &named("x.R", &[]), &value).unwrap_err();
    assert!(
        error.ends_with("give the reader's type the alias `x.Old`"),
        "{error}"
    );
    assert!(
        read(&named("x.Old", &[]), &named("y.R", &["Old"]), &value).is_err(),
        "the alias is y.Old"
    );
    let fixed = |size: usize| json!({"type": "fixed", "name": "F", "size": size});
    assert!(Decoder::new(&schema(&fixed(2)), &schema(&fixed(3))).is_err());
}

/// apache-avro takes these for readable, and gives another instant, another amount, or an error at the first value.
#[test]
fn logical_types_that_differ_do_not_match() {
    let long = |logical: &str| json!({"type": "long", "logicalType": logical});
    let decimal = |scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": scale});
    for (old, new) in [
        (long("timestamp-millis"), long("timestamp-micros")),
        (long("timestamp-millis"), long("local-timestamp-millis")),
        (long("timestamp-millis"), json!("long")),
        (json!("long"), long("timestamp-millis")),
        (
            json!({"type": "int", "logicalType": "date"}),
            long("timestamp-millis"),
        ),
        (json!({"type": "int", "logicalType": "date"}), json!("long")),
        (decimal(2), decimal(4)),
        (decimal(2), json!("string")),
        (decimal(2), json!("bytes")),
    ] {
        let error = Decoder::new(&schema(&old), &schema(&new)).unwrap_err();
        assert!(error.reason().starts_with("the data is "), "{error}");
    }
    let uuid = json!({"type": "string", "logicalType": "uuid"});
    assert!(Decoder::new(&schema(&uuid), &schema(&json!("string"))).is_ok());
    assert!(Decoder::new(&schema(&json!("string")), &schema(&uuid)).is_ok());
}

#[test]
fn aliases_that_make_two_of_one_are_refused() {
    let fields = |list: &[(&str, &[&str])]| {
        let list: Vec<Value> = list
            .iter()
            .map(|(name, aliases)| json!({"name": name, "aliases": aliases, "type": "int", "default": 0}))
            .collect();
        schema(&record(&json!(list)))
    };
    let two = fields(&[("a", &[]), ("b", &[])]);
    let error = Decoder::new(&two, &fields(&[("c", &["a", "b"])])).unwrap_err();
    assert!(error.reason().contains("two fields of the data"), "{error}");
    let error = Decoder::new(&two, &fields(&[("a", &[]), ("c", &["a"])])).unwrap_err();
    assert!(
        error.reason().contains("would be two of the reader's"),
        "{error}"
    );
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    let order = |price: &str| {
        schema(&record(
            &json!([{"name": "items", "type": {"type": "array", "items":
            {"type": "record", "name": "Item", "fields": [{"name": "price", "type": price}]}}}]),
        ))
    };
    let error = Decoder::new(&order("string"), &order("long")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/items/-/price: the data is string, and the reader's schema says long"
    );
    let error = Decoder::new(&schema(&record(&json!([]))), &order("long")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the data has no field `items`, and the reader's schema has no default for it: add a default, or an alias if it was renamed"
    );
}

/// apache-avro's own checker refuses a shared type whose first use is elsewhere in the other schema.
#[test]
fn shared_types_are_read_wherever_they_are_defined() {
    let money =
        json!({"type": "record", "name": "Money", "fields": [{"name": "minor", "type": "long"}]});
    let old = record(
        &json!([{"name": "gone", "type": money}, {"name": "total", "type": "Money"}, {"name": "freight", "type": "Money"}]),
    );
    let new = record(
        &json!([{"name": "freight", "type": money}, {"name": "total", "type": ["null", "Money"], "default": null}]),
    );
    let value = json!({"gone": {"minor": 1}, "total": {"minor": 2}, "freight": {"minor": 3}});
    assert_eq!(
        agreed(&old, &new, &value),
        Ok(json!({"total": {"minor": 2}, "freight": {"minor": 3}}))
    );
}

#[test]
fn a_plan_of_types_that_contain_themselves_ends() {
    let node = |value: &str, extra: bool| {
        let mut fields = vec![
            json!({"name": "value", "type": value}),
            json!({"name": "next", "type": ["null", "Node"], "default": null}),
        ];
        if extra {
            fields.insert(
                0,
                json!({"name": "label", "type": "string", "default": "-"}),
            );
        }
        json!({"type": "record", "name": "Node", "fields": fields})
    };
    let value = json!({"value": 1, "next": {"value": 2, "next": null}});
    assert_eq!(
        read(&node("int", false), &node("long", true), &value).unwrap(),
        json!({"label": "-", "value": 1, "next": {"label": "-", "value": 2, "next": null}})
    );
    let default = json!({"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"], "default": null},
        {"name": "more", "type": {"type": "map", "values": "Node"}, "default": {"k": {"more": {}}}}]});
    let empty = json!({"type": "record", "name": "Node", "fields": []});
    assert_eq!(
        read(&empty, &default, &json!({})).unwrap(),
        json!({"next": null, "more": {"k": {"next": null, "more": {}}}})
    );
    assert!(read(&node("int", false), &node("string", true), &value).is_err());
}

/// A type, and a value of it.
fn typed() -> impl Strategy<Value = (Value, Value)> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(|value| (json!("int"), json!(value))),
        any::<i64>().prop_map(|value| (json!("long"), json!(value))),
        any::<bool>().prop_map(|value| (json!("boolean"), json!(value))),
        ".{0,5}".prop_map(|value| (json!("string"), json!(value))),
        Just((json!(["null", "int"]), json!(null))),
        any::<i32>().prop_map(|value| (json!(["null", "int"]), json!(value))),
        ".{0,5}".prop_map(|value| (json!(["long", "string"]), json!(value))),
        prop::sample::select(vec!["A", "B", "C"]).prop_map(|symbol| (
            json!({"type": "enum", "symbols": ["A", "B", "C"]}),
            json!(symbol)
        )),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0_usize..3).prop_map(|((schema, value), count)| {
                (json!({"type": "array", "items": schema}), json!(vec![value; count]))
            }),
            inner.clone().prop_map(|(schema, value)| (json!({"type": "map", "values": schema}), json!({"k": value}))),
            prop::collection::vec(inner, 0..4).prop_map(|members| {
                let fields: Vec<Value> = members.iter().enumerate().map(|(index, (schema, value))| {
                    json!({"name": format!("f{index}"), "type": schema, "default": first_branch(schema, value)})
                }).collect();
                let value: BTreeMap<String, &Value> =
                    members.iter().enumerate().map(|(index, (_, value))| (format!("f{index}"), value)).collect();
                (json!({"type": "record", "fields": fields}), json!(value))
            }),
        ]
    })
}

/// The value as a default: apache-avro wants it to be of the first branch of a union.
fn first_branch(schema: &Value, value: &Value) -> Value {
    match schema[0].as_str() {
        Some("null") => Value::Null,
        Some("long") => json!(7),
        _ => value.clone(),
    }
}

/// Gives the named types their names, the same ones in the same places.
fn name(schema: &mut Value, path: &str) {
    if let Some(object) = schema.as_object_mut() {
        if matches!(object["type"].as_str(), Some("record" | "enum")) {
            object.insert("name".to_owned(), json!(format!("T{path}")));
        }
        for key in ["items", "values"] {
            if let Some(child) = object.get_mut(key) {
                name(child, &format!("{path}_"));
            }
        }
        if let Some(fields) = object.get_mut("fields").and_then(Value::as_array_mut) {
            for field in fields {
                let path = format!("{path}{}", field["name"].as_str().unwrap());
                name(&mut field["type"], &path);
            }
        }
    }
}

/// One change of a schema, at a place that `seed` chooses.
fn change(schema: &mut Value, seed: &mut u64) {
    let mut pick = |count: u64| {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % count
    };
    match schema["type"].as_str().map(str::to_owned).as_deref() {
        Some("array") => return change(&mut schema["items"], seed),
        Some("map") => return change(&mut schema["values"], seed),
        Some("enum") => {
            schema["symbols"] = json!(
                [["B", "A", "C"], ["A", "B", "X"], ["X", "A", "B"]]
                    [usize::try_from(pick(3)).unwrap()]
            );
            if pick(2) == 0 {
                schema["default"] = json!("A");
            }
            return;
        }
        Some("record") => {
            let fields = schema["fields"].as_array_mut().unwrap();
            let choice = pick(6);
            let place = if fields.is_empty() {
                0
            } else {
                usize::try_from(pick(fields.len() as u64)).unwrap()
            };
            match choice {
                0 => fields.push(json!({"name": "added", "type": {"type": "array", "items": "string"}, "default": ["x"]})),
                1 => fields.insert(place, json!({"name": "needed", "type": "string"})),
                2 => fields.reverse(),
                3 if !fields.is_empty() => {
                    fields.remove(place);
                }
                // Without an alias: apache-avro does not follow those of fields.
                4 if !fields.is_empty() => fields[place]["name"] = json!("renamed"),
                _ if !fields.is_empty() => {
                    let mut inner = fields[place]["type"].clone();
                    change(&mut inner, seed);
                    // The default was of the type before.
                    if inner != fields[place]["type"] {
                        fields[place]["type"] = inner;
                        fields[place].as_object_mut().unwrap().remove("default");
                    }
                }
                _ => {}
            }
            return;
        }
        _ => {}
    }
    let wider = match schema.as_str() {
        Some("int") => json!(
            [
                json!("long"),
                json!("double"),
                json!(["null", "int"]),
                json!("string")
            ][usize::try_from(pick(4)).unwrap()]
        ),
        Some("string") => {
            json!([json!(["null", "string"]), json!("int")][usize::try_from(pick(2)).unwrap()])
        }
        Some("long") => json!(
            [json!("double"), json!("int"), json!(["string", "long"])]
                [usize::try_from(pick(3)).unwrap()]
        ),
        _ if *schema == json!(["null", "int"]) => json!(
            [json!("int"), json!(["int", "null", "string"])][usize::try_from(pick(2)).unwrap()]
        ),
        _ => return,
    };
    *schema = wider;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Random schemas, random changes of them, random values: what we read is what apache-avro reads.
    #[test]
    fn resolution_agrees_with_apache_avro((mut old, value) in typed(), mut seed: u64, changes in 0_usize..4) {
        name(&mut old, "");
        let mut new = old.clone();
        for _ in 0..changes {
            change(&mut new, &mut seed);
        }
        // A change may have renamed twice, or brought the same name in twice: no schema.
        prop_assume!(Schema::from_json(&new).is_ok());
        name(&mut new, "");
        let (writer, reader) = (schema(&old), schema(&new));
        let data = writer.encode(&value).unwrap();
        let theirs = peer::read(&writer, Some(&reader), &data).map(peer::to_json);
        let ours = Decoder::new(&writer, &reader).map_err(|error| error.to_string())
            .and_then(|decoder| decoder.decode::<Value>(&data).map_err(|error| error.to_string()));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs, "{} read by {}", old, new),
            (Err(_), Err(_)) => {}
            // We refuse schemas when any value would be refused; apache-avro looks at the value that is there.
            (Err(error), Ok(_)) => prop_assert!(Decoder::new(&writer, &reader).is_err(), "{} {} {}", error, old, new),
            (Ok(ours), Err(error)) => prop_assert!(false, "{} read by {}: {} and {}", old, new, ours, error),
        }
    }
}
