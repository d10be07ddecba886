use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
struct OrderPlaced {
    #[serde(skip)]
    order_id: String,
    total_minor: i64,
}

fn main() {}
