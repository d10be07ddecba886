use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
struct OrderPlacedV1 {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts = OrderPlacedV1)]
struct OrderPlacedV2 {
    order_id: String,
}

fn main() {}
