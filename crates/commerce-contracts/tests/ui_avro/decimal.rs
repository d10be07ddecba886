use commerce_contracts::avro::AvroSchema;

#[derive(AvroSchema)]
#[avro(decimal(precision = 0))]
struct NoDigits(String);

#[derive(AvroSchema)]
#[avro(decimal(precision = 39, scale = 2))]
struct TooManyDigits(String);

#[derive(AvroSchema)]
#[avro(decimal(precision = 4, scale = 5))]
struct AllBehindThePoint(String);

#[derive(AvroSchema)]
#[avro(decimal(scale = 2))]
struct WithoutPrecision(String);

#[derive(AvroSchema)]
#[avro(decimal)]
struct WithoutAny(String);

#[derive(AvroSchema)]
#[avro(decimal(precision = -4))]
struct Negative(String);

#[derive(AvroSchema)]
#[avro(decimal(precision = "12"))]
struct Quoted(String);

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, digits = 2))]
struct Unknown(String);

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, precision = 13))]
struct Twice(String);

#[derive(AvroSchema)]
#[avro(decimal(precision = 12), date)]
struct TwoTypes(String);

#[derive(AvroSchema)]
#[avro(decimal(precision = 12), namespace = "shop")]
struct Named(String);

fn main() {}
