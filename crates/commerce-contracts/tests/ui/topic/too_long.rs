use commerce_contracts::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders.placedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplacedplaced", key = "order_id")]
struct OrderPlaced {
    order_id: String,
}

fn main() {}
