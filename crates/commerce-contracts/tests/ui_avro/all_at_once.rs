use commerce_contracts::avro::AvroSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, AvroSchema)]
#[serde(rename_all = "kebab-case")]
#[avro(name = "Order")]
struct OrderPlaced {
    #[serde(flatten)]
    customer: Customer,
    #[serde(rename = "total-minor")]
    total_minor: i64,
    #[serde(with = "hex")]
    hash: Vec<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<String>,
    #[serde(rename(serialize = "a", deserialize = "b"))]
    either: bool,
    #[serde(skip_serializing)]
    secret: String,
}

#[derive(Serialize, Deserialize, AvroSchema)]
struct Customer {
    name: String,
}

mod hex {
    pub fn serialize<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        serde::Deserialize::deserialize(from)
    }
}

fn main() {}
