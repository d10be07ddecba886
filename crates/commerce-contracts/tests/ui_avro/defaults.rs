use commerce_contracts::avro::AvroSchema;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, AvroSchema)]
#[serde(default)]
struct OrderPlaced {
    order_id: String,
}

#[derive(Serialize, Deserialize, AvroSchema)]
struct Line {
    #[serde(default = "nothing")]
    note: Option<String>,
}

fn nothing() -> Option<String> {
    None
}

fn main() {}
