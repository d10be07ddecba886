use commerce_contracts::avro::AvroSchema;

#[derive(AvroSchema)]
union Either {
    one: u32,
    other: i32,
}

fn main() {}
