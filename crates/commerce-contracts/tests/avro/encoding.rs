//! What is written: bytes of the specification, the same value for every reader, and precise refusals.

use std::collections::BTreeMap;

use commerce_contracts::Event;
use commerce_contracts::avro::{Decoder, Schema};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::peer;
use crate::types::{
    Order, categories, category_schema, method_schema, methods, order_schema, orders,
};

fn schema(json: &Value) -> Schema {
    Schema::from_json(json).unwrap()
}

/// Written by us, read by us and by apache-avro; written by apache-avro, read by us: always the same value.
fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    schema: &Schema,
    value: &T,
) -> serde_json::Value {
    let data = schema.encode(value).unwrap();
    let decoder = Decoder::new(schema, schema).unwrap();
    assert_eq!(&decoder.decode::<T>(&data).unwrap(), value);
    let theirs = peer::read(schema, None, &data).unwrap();
    let rewritten = peer::write(schema, theirs.clone());
    assert_eq!(&decoder.decode::<T>(&rewritten).unwrap(), value);
    peer::to_json(theirs)
}

/// Left-out fields have their defaults, absent ones are null.
fn normal(json: &Value) -> Value {
    let mut json = json.clone();
    if let Some(order) = json.as_object_mut() {
        order.entry("seals").or_insert_with(|| json!([]));
    }
    json
}

proptest! {
    /// The promise: JSON valid under the JSON Schema, Avro readable by anyone, and all three equal.
    #[test]
    fn any_order_is_the_same_in_json_and_in_avro(order in orders()) {
        let json = serde_json::to_value(&order).unwrap();
        Order::contract().validate_on_write(&json).unwrap();
        Order::contract().validate(&json).unwrap();
        let theirs = survives(&order_schema(), &order);
        prop_assert_eq!(theirs, normal(&json));
        prop_assert_eq!(serde_json::from_value::<Order>(json).unwrap(), order);
    }

    #[test]
    fn a_type_may_contain_itself(category in categories()) {
        let theirs = survives(&category_schema(), &category);
        prop_assert_eq!(theirs, serde_json::to_value(&category).unwrap());
    }

    #[test]
    fn a_choice_is_a_union_of_its_variants(method in methods()) {
        survives(&method_schema(), &method);
    }

    #[test]
    fn primitives_survive(
        number: i64, small: i32, float: f32, double: f64, text: String, bytes: Vec<u8>, flag: bool, decimal in -99_999_i32..99_999,
    ) {
        survives(&schema(&json!("long")), &number);
        survives(&schema(&json!("int")), &small);
        survives(&schema(&json!("string")), &text);
        survives(&schema(&json!("bytes")), &bytes);
        survives(&schema(&json!("boolean")), &flag);
        if !float.is_nan() && !double.is_nan() {
            survives(&schema(&json!("float")), &float);
            survives(&schema(&json!("double")), &double);
        }
        let money = schema(&json!({"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}));
        let text = format!("{}{}.{:02}", if decimal < 0 { "-" } else { "" }, decimal.abs() / 100, decimal.abs() % 100);
        survives(&money, &text);
    }
}

#[test]
fn bytes_are_those_of_the_specification() {
    let record = schema(&json!({"type": "record", "name": "test", "fields": [
        {"name": "a", "type": "long"}, {"name": "b", "type": "string"}]}));
    let value = json!({"b": "foo", "a": 27});
    assert_eq!(
        record.encode(&value).unwrap(),
        [0x36, 0x06, 0x66, 0x6f, 0x6f]
    );
    let list = schema(&json!({"type": "array", "items": "long"}));
    assert_eq!(list.encode(&[3, 27]).unwrap(), [0x04, 0x06, 0x36, 0x00]);
    let choice = schema(&json!(["null", "string"]));
    assert_eq!(choice.encode(&None::<&str>).unwrap(), [0x00]);
    assert_eq!(choice.encode(&"a").unwrap(), [0x02, 0x02, 0x61]);
}

#[test]
fn lists_and_texts_of_unknown_length_are_written_like_others() {
    #[derive(Serialize)]
    struct Lazy(#[serde(serialize_with = "lazily")] Vec<u8>);
    fn lazily<S: serde::Serializer>(items: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut list = serializer.serialize_seq(None)?;
        items
            .iter()
            .try_for_each(|item| list.serialize_element(item))?;
        list.end()
    }
    for length in [0, 1, 63, 64, 5000] {
        let items: Vec<u8> = (0..length)
            .map(|index| u8::try_from(index % 256).unwrap())
            .collect();
        for json in [json!("bytes"), json!({"type": "array", "items": "int"})] {
            let schema = schema(&json);
            assert_eq!(
                schema.encode(&Lazy(items.clone())).unwrap(),
                schema.encode(&items).unwrap()
            );
        }
        let text = schema(&json!("string"));
        let long = "é".repeat(length);
        let shown = text.encode(&format_args!("{long}")).unwrap();
        assert_eq!(shown, text.encode(&long).unwrap());
    }
}

#[test]
fn fields_may_come_in_any_order_and_may_be_left_out() {
    #[derive(Serialize)]
    struct Mixed {
        c: i32,
        #[serde(skip_serializing_if = "Option::is_none")]
        b: Option<i32>,
        a: i32,
    }
    let record = schema(&json!({"type": "record", "name": "Mixed", "fields": [
        {"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 7}, {"name": "c", "type": "int"}, {"name": "d", "type": "int", "default": 9}]}));
    assert_eq!(
        record
            .encode(&Mixed {
                c: 3,
                b: None,
                a: 1
            })
            .unwrap(),
        [2, 14, 6, 18]
    );
    assert_eq!(
        record
            .encode(&Mixed {
                c: 3,
                b: Some(2),
                a: 1
            })
            .unwrap(),
        [2, 4, 6, 18]
    );
    let map: BTreeMap<_, _> = [("a", 1), ("c", 3)].into();
    assert_eq!(record.encode(&map).unwrap(), [2, 14, 6, 18]);
}

#[test]
fn a_refusal_tells_the_place_and_never_the_value() {
    let order = order_schema();
    let valid = json!({"order_id": "x", "number": 1, "state": "placed", "total": {"amount_minor": 1, "currency": "BRL"}, "labels": {},
        "items": [{"sku": "a", "quantity": 1, "price": {"amount_minor": 1, "currency": "BRL"}}],
        "weight": 0.5, "gift": true, "due": "2026-11-21", "placed_at": "2026-11-21T10:00:00Z"});
    order.encode(&valid).unwrap();
    for (pointer, value, place, reason) in [
        (
            "/items/0/price/amount_minor",
            json!("secret"),
            "/items/0/price/amount_minor",
            "the schema says long, and the value is a text",
        ),
        (
            "/items/0/quantity",
            json!(1.5),
            "/items/0/quantity",
            "the schema says long, and the value is a double",
        ),
        (
            "/state",
            json!("secret"),
            "/state",
            "the value is no symbol of enum orders.State",
        ),
        (
            "/placed_at",
            json!("secret"),
            "/placed_at",
            "the text cannot be written as long (timestamp-micros)",
        ),
        (
            "/due",
            json!("2026-02-30"),
            "/due",
            "the text cannot be written as int (date)",
        ),
        ("/number", json!(-1.5), "/number", "the value is a double"),
        (
            "/labels",
            json!({"a": 1, "secret": "secret"}),
            "/labels/1",
            "the schema says int",
        ),
        (
            "/labels",
            json!({"a": 3_000_000_000_i64}),
            "/labels/0",
            "the schema says int",
        ),
        (
            "/total",
            json!({"amount_minor": 1}),
            "/total",
            "no field `currency`, and it has no default",
        ),
        (
            "/total",
            json!({"amount_minor": 1, "currency": "BRL", "extra": 1}),
            "/total",
            "has no field `extra`",
        ),
        ("/gift", json!(null), "/gift", "the value is nothing"),
    ] {
        let mut wrong = valid.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        let mut out = vec![1, 2, 3];
        let error = order.encode_into(&wrong, &mut out).unwrap_err();
        assert_eq!(out, [1, 2, 3], "what was there stays");
        assert_eq!(error.pointer(), place, "{error}");
        assert!(error.reason().contains(reason), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let decimal =
        schema(&json!({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}));
    assert!(decimal.encode(&99).is_ok());
    assert!(decimal.encode(&100).is_err());
    assert!(decimal.encode(&"99.99").is_ok());
    assert!(decimal.encode(&"100").is_err());
    assert!(decimal.encode(&"0.001").is_err());
    let fixed = schema(
        &json!({"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 0}),
    );
    assert_eq!(fixed.encode(&-2).unwrap(), [0xff, 0xff, 0xff, 0xfe]);
    assert!(schema(&json!("long")).encode(&u64::MAX).is_err());
    assert!(schema(&json!("int")).encode(&i64::MAX).is_err());
    assert!(
        schema(&json!("float")).encode(&0.1_f64).is_err(),
        "it would be another number"
    );
    assert_eq!(
        schema(&json!("float")).encode(&0.5_f64).unwrap(),
        0.5_f32.to_le_bytes(),
        "what JSON makes of a float is one"
    );
    let both = schema(&json!(["float", "double"]));
    assert_eq!(both.encode(&0.5_f64).unwrap()[0], 2, "the double");
    let nested = (0..200).fold(
        json!({"name": "", "parent": null, "children": []}),
        |inner, _| json!({"name": "", "parent": inner, "children": []}),
    );
    assert!(
        category_schema()
            .encode(&nested)
            .unwrap_err()
            .to_string()
            .contains("128 levels")
    );
}
