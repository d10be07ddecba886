//! The types that the tests write and read, and any values of them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use commerce_contracts::Event;
use commerce_contracts::avro::{AvroSchema, Schema};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// An order with all that an event may hold.
#[expect(clippy::struct_field_names, reason = "as in real events")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
#[avro(namespace = "orders")]
#[event(
    name = "orders.order.placed",
    version = 1,
    topic = "orders",
    key = "order_id"
)]
pub(crate) struct Order {
    pub(crate) order_id: Uuid,
    pub(crate) number: u64,
    pub(crate) note: Option<String>,
    pub(crate) state: State,
    pub(crate) items: Vec<Item>,
    pub(crate) total: Money,
    pub(crate) discount: Option<Money>,
    pub(crate) labels: BTreeMap<String, i32>,
    pub(crate) weight: f64,
    pub(crate) gift: bool,
    pub(crate) due: NaiveDate,
    pub(crate) placed_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seals: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub(crate) struct Item {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) price: Money,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub(crate) struct Money {
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Placed,
    InTransit,
    #[serde(other)]
    Unknown,
}

pub(crate) fn order_schema() -> Schema {
    Schema::from_json(&json!({"type": "record", "name": "Order", "namespace": "orders",
        "doc": "An order with all that an event may hold.", "fields": [
        {"name": "order_id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "number", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 0}},
        {"name": "note", "type": ["null", "string"], "default": null},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["placed", "in_transit", "unknown"], "default": "unknown"}},
        {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
            {"name": "sku", "type": "string"},
            {"name": "quantity", "type": "long"},
            {"name": "price", "type": {"type": "record", "name": "Money", "fields": [
                {"name": "amount_minor", "type": "long"},
                {"name": "currency", "type": "string"}]}}]}}},
        {"name": "total", "type": "Money"},
        {"name": "discount", "type": ["null", "Money"], "default": null},
        {"name": "labels", "type": {"type": "map", "values": "int"}},
        {"name": "weight", "type": "double"},
        {"name": "gift", "type": "boolean"},
        {"name": "due", "type": {"type": "int", "logicalType": "date"}},
        {"name": "placed_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "seals", "type": {"type": "array", "items": "bytes"}, "default": []},
    ]}))
    .unwrap()
}

/// A type that contains itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Category {
    pub(crate) name: String,
    pub(crate) parent: Option<Box<Category>>,
    pub(crate) children: Vec<Category>,
}

pub(crate) fn category_schema() -> Schema {
    Schema::from_json(&json!({"type": "record", "name": "Category", "doc": "A type that contains itself.", "fields": [
        {"name": "name", "type": "string"},
        {"name": "parent", "type": ["null", "Category"], "default": null},
        {"name": "children", "type": {"type": "array", "items": "Category"}},
    ]}))
    .unwrap()
}

/// A choice whose variants carry data: a union of records, named as the variants are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Method {
    Pix(Pix),
    Card { brand: String, installments: u8 },
    Voucher(Pix),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pix {
    pub(crate) end_to_end_id: String,
}

pub(crate) fn method_schema() -> Schema {
    let pix = json!([{"name": "end_to_end_id", "type": "string"}]);
    Schema::from_json(&json!([
        {"type": "record", "name": "Pix", "fields": pix},
        {"type": "record", "name": "Card", "fields": [{"name": "brand", "type": "string"}, {"name": "installments", "type": "int"}]},
        {"type": "record", "name": "Voucher", "fields": pix},
    ]))
    .unwrap()
}

prop_compose! {
    pub(crate) fn money()(amount_minor: i64, currency in "[A-Z]{3}") -> Money {
        Money { amount_minor, currency }
    }
}

prop_compose! {
    fn item()(sku in ".{0,70}", quantity: u32, price in money()) -> Item {
        Item { sku, quantity, price }
    }
}

prop_compose! {
    pub(crate) fn orders()(
        (order_id, number, note) in (any::<u128>(), any::<u64>(), any::<Option<String>>()),
        state in prop::sample::select(vec![State::Unknown, State::Placed, State::InTransit]),
        items in prop::collection::vec(item(), 0..5),
        (total, discount) in (money(), prop::option::of(money())),
        labels in prop::collection::btree_map(".{0,4}", any::<i32>(), 0..4),
        (weight, gift) in (prop::num::f64::NORMAL | prop::num::f64::ZERO, any::<bool>()),
        days in -700_000_i32..2_000_000,
        micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000,
        seals in any::<Vec<Vec<u8>>>(),
    ) -> Order {
        Order {
            order_id: Uuid::from_u128(order_id),
            number,
            note,
            state,
            items,
            total,
            discount,
            labels,
            weight,
            gift,
            due: NaiveDate::from_epoch_days(days).unwrap(),
            placed_at: DateTime::from_timestamp_micros(micros).unwrap(),
            seals,
        }
    }
}

pub(crate) fn categories() -> impl Strategy<Value = Category> {
    let leaf = ".{0,5}".prop_map(|name| Category {
        name,
        parent: None,
        children: Vec::new(),
    });
    leaf.prop_recursive(4, 20, 4, |inner| {
        let children = prop::collection::vec(inner.clone(), 0..4);
        (
            ".{0,5}",
            prop::option::of(inner.prop_map(Box::new)),
            children,
        )
            .prop_map(|(name, parent, children)| Category {
                name,
                parent,
                children,
            })
    })
}

pub(crate) fn methods() -> impl Strategy<Value = Method> {
    prop_oneof![
        ".{0,9}".prop_map(|end_to_end_id| Method::Pix(Pix { end_to_end_id })),
        ".{0,9}".prop_map(|end_to_end_id| Method::Voucher(Pix { end_to_end_id })),
        (".{0,9}", any::<u8>()).prop_map(|(brand, installments)| Method::Card {
            brand,
            installments
        }),
    ]
}
