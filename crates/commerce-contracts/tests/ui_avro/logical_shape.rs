use commerce_contracts::Event;
use commerce_contracts::avro::AvroSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, scale = 2))]
enum Price {
    Free,
}

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, scale = 2))]
struct Money {
    amount: String,
    currency: String,
}

#[derive(AvroSchema)]
#[avro(timestamp_millis)]
struct Range(i64, i64);

#[derive(AvroSchema)]
#[avro(date)]
struct Named {
    day: chrono::NaiveDate,
}

#[derive(AvroSchema)]
#[avro(date)]
struct Nothing;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "id")]
#[avro(decimal(precision = 12, scale = 2))]
struct OrderPlaced {
    id: String,
    total: String,
}

fn main() {}
