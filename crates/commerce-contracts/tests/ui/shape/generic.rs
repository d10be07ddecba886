use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
struct OrderPlaced<T> {
    order_id: String,
    details: T,
}

#[derive(Event, Serialize)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
struct Borrowed<'a> {
    order_id: &'a str,
}

fn main() {}
