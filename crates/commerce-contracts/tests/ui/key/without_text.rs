use commerce_contracts::{AvroSchema, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema, AvroSchema)]
struct OrderId(u64);

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
struct OrderPlaced {
    order_id: OrderId,
}

fn main() {}
