use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
struct OrderPlacedV0 {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id", upcasts = OrderPlacedV0)]
struct OrderPlacedV1 {
    order_id: String,
}

impl From<OrderPlacedV0> for OrderPlacedV1 {
    fn from(old: OrderPlacedV0) -> Self {
        Self { order_id: old.order_id }
    }
}

fn main() {}
