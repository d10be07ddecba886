use commerce_contracts::avro::AvroSchema;

#[derive(AvroSchema)]
struct Order {
    point: (i32, i32),
}

fn main() {}
