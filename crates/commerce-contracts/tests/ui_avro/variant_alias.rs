use commerce_contracts::avro::AvroSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, AvroSchema)]
enum Channel {
    #[serde(alias = "world-wide-web")]
    Web,
}

fn main() {}
