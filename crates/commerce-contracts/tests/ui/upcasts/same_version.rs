use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id")]
struct OrderPlacedV2 {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts = OrderPlacedV2)]
struct OrderPlacedAgain {
    order_id: String,
}

impl From<OrderPlacedV2> for OrderPlacedAgain {
    fn from(old: OrderPlacedV2) -> Self {
        Self { order_id: old.order_id }
    }
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts = OrderPlacedItself)]
struct OrderPlacedItself {
    order_id: String,
}

fn main() {}
