use commerce_contracts::avro::AvroSchema;

#[derive(AvroSchema)]
struct Nothing;

#[derive(AvroSchema)]
struct Pair(i32, i32);

#[derive(AvroSchema)]
struct Generic<T> {
    value: T,
}

#[derive(AvroSchema)]
enum Method {
    Pix { key: String },
    Card(String),
    Cash,
}

fn main() {}
