use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts = "OrderPlacedV1")]
struct OrderPlaced {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts = 1)]
struct Orderplaced2 {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts)]
struct Orderplaced3 {
    order_id: String,
}

fn main() {}
