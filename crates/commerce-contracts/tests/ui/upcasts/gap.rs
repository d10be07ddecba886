use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
struct OrderPlacedV1 {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 3, topic = "orders", key = "order_id", upcasts = OrderPlacedV1)]
struct OrderPlacedV3 {
    order_id: String,
}

impl From<OrderPlacedV1> for OrderPlacedV3 {
    fn from(old: OrderPlacedV1) -> Self {
        Self { order_id: old.order_id }
    }
}

fn main() {}
