use commerce_contracts::avro::AvroSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, AvroSchema)]
#[serde(tag = "type")]
enum Method {
    Cash,
}

#[derive(Serialize, Deserialize, AvroSchema)]
enum State {
    #[serde(rename = "in-transit")]
    InTransit,
}

fn main() {}
