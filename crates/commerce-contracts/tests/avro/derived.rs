//! The schema of a type.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use commerce_contracts::avro::{AvroSchema, Decoder, Schema};
use commerce_contracts::commerce::OrderCreated;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::peer;
use crate::types::{Category, Order, category_schema, order_schema};

#[test]
fn a_type_has_the_schema_that_one_would_write_by_hand() {
    assert_eq!(Schema::of::<Order>().unwrap(), order_schema());
    assert_eq!(Schema::of::<Category>().unwrap(), category_schema());
}

#[test]
fn the_attributes_of_serde_are_followed() {
    /// An order line,
    /// in its second version.
    #[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
    #[serde(rename = "Line", rename_all = "camelCase", deny_unknown_fields)]
    #[avro(namespace = "shop.orders", alias = "OldLine", alias = "legacy.Line")]
    struct LineV2 {
        /// What is sold.
        #[serde(alias = "product", alias = "code")]
        sku_code: Sku,
        #[serde(rename = "qty", default = "one")]
        quantity: u64,
        #[serde(skip)]
        cached: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(default)]
        seal: Vec<u8>,
        #[serde(default)]
        tags: BTreeMap<String, Vec<i64>>,
        r#type: Kind,
        #[serde(default)]
        other: Kind,
        weight: Box<Grams>,
    }
    fn one() -> u64 {
        u64::MAX
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
    struct Sku(String);
    #[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
    #[serde(transparent)]
    struct Grams {
        grams: f32,
    }
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize, AvroSchema)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    enum Kind {
        #[default]
        PhysicalGood,
        #[serde(rename = "GIFT")]
        GiftCard,
        #[serde(other)]
        Unknown,
    }

    #[derive(Serialize)]
    #[expect(non_snake_case, reason = "as on the wire")]
    struct Short<'a> {
        skuCode: &'a str,
        r#type: &'a str,
        weight: f32,
    }

    let schema = Schema::of::<LineV2>().unwrap();
    assert_eq!(
        schema.to_json(),
        json!({"type": "record", "name": "Line", "namespace": "shop.orders", "aliases": ["shop.orders.OldLine", "legacy.Line"],
            "doc": "An order line,\nin its second version.", "fields": [
            {"name": "skuCode", "aliases": ["product", "code"], "doc": "What is sold.", "type": "string"},
            {"name": "qty", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 0},
             "default": "\u{0}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}"},
            {"name": "note", "type": ["null", "string"], "default": null},
            {"name": "seal", "type": "bytes", "default": ""},
            {"name": "tags", "type": {"type": "map", "values": {"type": "array", "items": "long"}}, "default": {}},
            {"name": "type", "type": {"type": "enum", "name": "Kind", "symbols": ["PHYSICAL_GOOD", "GIFT", "UNKNOWN"], "default": "UNKNOWN"}},
            {"name": "other", "type": "Kind", "default": "PHYSICAL_GOOD"},
            {"name": "weight", "type": "float"}]})
    );
    // What the defaults say is what serde says.
    let short = Schema::from_json(&json!({"type": "record", "name": "Line", "fields": [
        {"name": "skuCode", "type": "string"}, {"name": "type", "type": {"type": "enum", "name": "Kind", "symbols": ["NEW"]}},
        {"name": "weight", "type": "float"}]}))
    .unwrap();
    let value = json!({"skuCode": "a", "type": "NEW", "weight": 0.5});
    let from_json: LineV2 = serde_json::from_value(value.clone()).unwrap();
    let data = short
        .encode(&Short {
            skuCode: "a",
            r#type: "NEW",
            weight: 0.5,
        })
        .unwrap();
    let decoder = Decoder::new(&short, &schema).unwrap();
    assert_eq!(decoder.decode::<LineV2>(&data).unwrap(), from_json);
    let written = schema.encode(&from_json).unwrap();
    let same = Decoder::new(&schema, &schema).unwrap();
    assert_eq!(same.decode::<LineV2>(&written).unwrap(), from_json);
}

#[test]
fn a_type_is_seen_through_where_serde_does_so_and_only_there() {
    // Its name has the word, and its attributes have not.
    #[derive(Serialize, Deserialize, AvroSchema)]
    #[serde(rename = "transparent_pane")]
    struct Pane {
        width: i32,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
    #[serde(transparent)]
    struct Marked {
        #[serde(skip)]
        kind: PhantomData<Pane>,
        grams: f32,
    }
    #[derive(Serialize, Deserialize, AvroSchema)]
    #[serde(transparent)]
    struct Counted(u64);
    #[derive(Serialize, Deserialize, AvroSchema)]
    struct Counts {
        #[serde(default = "seven")]
        count: Counted,
    }
    fn seven() -> Counted {
        Counted(7)
    }
    assert_eq!(
        Schema::of::<Pane>().unwrap().to_json(),
        json!({"type": "record", "name": "transparent_pane", "fields": [{"name": "width", "type": "int"}]})
    );
    assert_eq!(Schema::of::<Marked>().unwrap().to_json(), json!("float"));
    // A newtype has the default of what is in it.
    assert_eq!(
        Schema::of::<Counts>().unwrap().to_json()["fields"][0]["default"],
        json!("\u{7}")
    );
    let schema = Schema::of::<Marked>().unwrap();
    let marked = Marked {
        kind: PhantomData,
        grams: 0.5,
    };
    let same = Decoder::new(&schema, &schema).unwrap();
    let data = schema.encode(&marked).unwrap();
    assert_eq!(same.decode::<Marked>(&data).unwrap(), marked);
}

#[test]
fn every_type_of_the_table_has_its_schema() {
    fn of<T: AvroSchema + ?Sized>() -> serde_json::Value {
        Schema::of::<T>().unwrap().to_json()
    }
    let logical = |of: &str, logical: &str| json!({"type": of, "logicalType": logical});
    for (found, expected) in [
        (of::<u16>(), json!("int")),
        (of::<u32>(), json!("long")),
        (of::<char>(), json!("string")),
        (of::<str>(), json!("string")),
        (of::<Uuid>(), logical("string", "uuid")),
        (of::<DateTime<Utc>>(), logical("long", "timestamp-micros")),
        (
            of::<NaiveDateTime>(),
            logical("long", "local-timestamp-micros"),
        ),
        (of::<NaiveDate>(), logical("int", "date")),
        (of::<NaiveTime>(), logical("long", "time-micros")),
        (of::<[u8; 4]>(), json!("bytes")),
        (
            of::<Option<Vec<bool>>>(),
            json!(["null", {"type": "array", "items": "boolean"}]),
        ),
        (
            of::<HashMap<Uuid, f64>>(),
            json!({"type": "map", "values": "double"}),
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn what_has_no_schema_is_told_with_its_place() {
    mod other {
        #[derive(super::AvroSchema)]
        pub(super) struct Money {
            #[expect(dead_code, reason = "only its schema matters")]
            pub(super) cents: i64,
        }
    }
    #[derive(AvroSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Money {
        minor: i64,
    }
    #[derive(AvroSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Two {
        one: Money,
        same: Money,
        other: other::Money,
    }
    let error = Schema::of::<Two>().unwrap_err();
    assert_eq!(error.pointer(), "/fields/2/type/name");
    let error = Schema::of::<Option<Option<i32>>>().unwrap_err();
    assert!(
        error.reason().contains("a union directly in a union"),
        "{error}"
    );
}

#[test]
fn the_platforms_events_are_the_same_in_json_and_in_avro() {
    let money = |amount: i64| json!({"amount_minor": amount, "currency": "BRL"});
    let json = json!({
        "organization_id": "0199f1a2-7b3c-7d4e-8f5a-6b7c8d9e0f1a", "order_id": "0199f1a2-7b3c-7d4e-8f5a-6b7c8d9e0f1b",
        "reference": null, "freight": money(1500), "total": money(6490), "created_at": "2026-11-21T10:00:00.123456Z",
        "customer": {"customer_id": "0199f1a2-7b3c-7d4e-8f5a-6b7c8d9e0f1c", "name": "Maria", "email": "maria@example.com"},
        "items": [{"sku": "SKU-1", "name": "Camiseta", "quantity": 1, "unit_price": money(4990)}]});
    let event: OrderCreated = serde_json::from_value(json.clone()).unwrap();
    let schema = Schema::of::<OrderCreated>().unwrap();
    let data = schema.encode(&event).unwrap();
    let decoder = Decoder::new(&schema, &schema).unwrap();
    assert_eq!(decoder.decode::<OrderCreated>(&data).unwrap(), event);
    assert_eq!(
        peer::to_json(peer::read(&schema, None, &data).unwrap()),
        json
    );
    // What JSON refuses, Avro refuses: here a quantity of none.
    let mut wrong = json;
    wrong["items"][0]["quantity"] = json!(0);
    let data = schema.encode(&wrong).unwrap();
    let error = decoder.decode::<OrderCreated>(&data).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/items/0/quantity: the value is refused by its type"
    );
}
