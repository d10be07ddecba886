use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.changed", version = 1, topic = "orders", key = "order_id")]
enum OrderChanged {
    Placed { order_id: String },
    Cancelled { order_id: String },
}

fn main() {}
