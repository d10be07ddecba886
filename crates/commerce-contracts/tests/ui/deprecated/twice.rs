use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id",
    deprecated(since = "2026-01-31"), deprecated(since = "2026-02-28", since = "2026-03-31"))]
struct OrderPlaced {
    order_id: String,
}

fn main() {}
