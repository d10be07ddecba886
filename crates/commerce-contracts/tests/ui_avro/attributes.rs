use commerce_contracts::avro::AvroSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, AvroSchema)]
#[serde(rename_all_fields = "camelCase")]
enum Channel {
    Web,
}

#[derive(Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "shop.2026")]
#[avro(alias = "old-name")]
struct OrderPlaced {
    #[avro(alias = "id")]
    order_id: String,
}

fn main() {}
