use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(commerce_contracts::PersonalData, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "document")]
struct OrderPlaced {
    #[event(personal)]
    document: String,
}

fn main() {}
