//! Keys may be paths, numbers and newtypes, and attributes may be spread over several lists.
use commerce_contracts::Event;
use commerce_contracts::avro::AvroSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Customer {
    id: u64,
}

#[derive(Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Order {
    customer: Customer,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1)]
#[event(topic = "orders.archive", key = "order.customer.id")]
struct OrderPlaced {
    order: Order,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.counted", version = 1, topic = "orders", key = "type")]
struct RawName {
    r#type: Box<str>,
}

fn main() {
    let placed = OrderPlaced { order: Order { customer: Customer { id: 7 } } };
    assert_eq!(placed.key(), "7");
    assert_eq!(OrderPlaced::contract().key(), "order.customer.id");
    assert_eq!(OrderPlaced::contract().topic(), "orders.archive");
    assert_eq!(RawName { r#type: "gift".into() }.key(), "gift");
}
