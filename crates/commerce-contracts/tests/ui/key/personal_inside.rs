use commerce_contracts::avro::AvroSchema;
use commerce_contracts::{Event, PersonalData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(PersonalData, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Customer {
    #[event(personal)]
    name: String,
    phone: Phone,
    balance: f64,
    note: Option<String>,
    #[serde(skip)]
    cached: u64,
}

#[derive(PersonalData, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Phone(String);

impl std::fmt::Display for Customer {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.name)
    }
}

impl std::fmt::Display for Phone {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 1, topic = "orders", key = "customer.name")]
struct OrderPlacedV1 {
    customer: Box<Customer>,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 2, topic = "orders", key = "customer.phone")]
struct OrderPlacedV2 {
    customer: Box<Customer>,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 3, topic = "orders", key = "customer")]
struct OrderPlacedV3 {
    customer: Box<Customer>,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "orders.order.placed", version = 4, topic = "orders", key = "phone")]
struct OrderPlacedV4 {
    phone: Phone,
}

fn main() {}
