//! An event that is on its way out says so.
#![cfg(feature = "derive")]

use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(
    name = "orders.order.placed",
    version = 1,
    topic = "orders",
    key = "order_id",
    deprecated(since = "2024-02-29", replacement = "orders.order.placed.v2")
)]
struct OrderPlacedV1 {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(
    name = "orders.order.archived",
    version = 1,
    topic = "orders",
    key = "order_id",
    deprecated(since = "2026-01-31")
)]
struct OrderArchived {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts = OrderPlacedV1)]
struct OrderPlaced {
    order_id: String,
}

impl From<OrderPlacedV1> for OrderPlaced {
    fn from(old: OrderPlacedV1) -> Self {
        Self {
            order_id: old.order_id,
        }
    }
}

#[test]
fn the_contract_tells_since_when_and_what_for() {
    let deprecation = OrderPlacedV1::contract().deprecation().unwrap();
    assert_eq!(
        (deprecation.since(), deprecation.replacement()),
        ("2024-02-29", Some("orders.order.placed.v2"))
    );
    let deprecation = OrderArchived::contract().deprecation().unwrap();
    assert_eq!(
        (deprecation.since(), deprecation.replacement()),
        ("2026-01-31", None)
    );
    assert!(OrderPlaced::contract().deprecation().is_none());
}

#[test]
fn the_json_schemas_say_so_and_the_data_is_as_before() {
    for (contract, deprecated) in [
        (OrderPlacedV1::contract(), Value::Bool(true)),
        (OrderPlaced::contract(), Value::Null),
    ] {
        assert_eq!(contract.schema_on_write()["deprecated"], deprecated);
        assert_eq!(contract.schema_on_read()["deprecated"], deprecated);
    }
    let event = OrderPlacedV1 {
        order_id: "A-1".into(),
    }
    .event()
    .unwrap();
    assert_eq!(event.decode::<OrderPlacedV1>().unwrap().order_id, "A-1");
    assert_eq!(event.decode::<OrderPlaced>().unwrap().order_id, "A-1");
}
