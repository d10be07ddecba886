use commerce_contracts::avro::AvroSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, AvroSchema)]
#[serde(into = "String")]
struct Written(String);

impl From<Written> for String {
    fn from(written: Written) -> Self {
        written.0
    }
}

#[derive(Serialize, Deserialize, AvroSchema)]
#[serde(try_from = "String")]
struct Read(String);

impl From<String> for Read {
    fn from(text: String) -> Self {
        Self(text)
    }
}

fn main() {}
