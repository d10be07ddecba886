use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id", deprecated(since = "2026-01-31", replacement = "orders.order.paid"))]
struct WithoutVersion {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id", deprecated(since = "2026-01-31", replacement = "orders.Order.paid.v1"))]
struct UpperCase {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id", deprecated(since = "2026-01-31", replacement = "orders.order.placed.v1"))]
struct Itself {
    order_id: String,
}

fn main() {}
