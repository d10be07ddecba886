use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.paid", version = 1, topic = "orders", key = "order_id")]
struct OrderPaid {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "order_id", upcasts = OrderPaid)]
struct OrderPlaced {
    order_id: String,
}

impl From<OrderPaid> for OrderPlaced {
    fn from(old: OrderPaid) -> Self {
        Self { order_id: old.order_id }
    }
}

fn main() {}
