use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Orders", version = 0, topic = "my topic", key = "id", retries = 3)]
struct OrderPlaced {
    order_id: String,
}

fn main() {}
