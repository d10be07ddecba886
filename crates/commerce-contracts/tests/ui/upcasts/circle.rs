use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts = OrderPlacedV3)]
struct OrderPlacedV2 {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 3, topic = "orders", key = "order_id", upcasts = OrderPlacedV2)]
struct OrderPlacedV3 {
    order_id: String,
}

impl From<OrderPlacedV2> for OrderPlacedV3 {
    fn from(old: OrderPlacedV2) -> Self {
        Self { order_id: old.order_id }
    }
}

impl From<OrderPlacedV3> for OrderPlacedV2 {
    fn from(old: OrderPlacedV3) -> Self {
        Self { order_id: old.order_id }
    }
}

fn main() {}
