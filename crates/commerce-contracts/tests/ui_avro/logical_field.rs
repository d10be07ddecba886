use chrono::{DateTime, NaiveDate, Utc};
use commerce_contracts::avro::AvroSchema;

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, scale = 2))]
struct Inexact(f64);

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, scale = 2))]
struct Cents(i64);

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, scale = 2))]
struct Flag(bool);

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, scale = 2))]
struct Absent(Option<String>);

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, scale = 2))]
struct Bytes([u8; 4]);

#[derive(AvroSchema)]
#[avro(decimal(precision = 12, scale = 2))]
struct Day(NaiveDate);

#[derive(AvroSchema)]
#[avro(timestamp_millis)]
struct DayAsInstant(NaiveDate);

#[derive(AvroSchema)]
#[avro(date)]
struct InstantAsDay(Box<DateTime<Utc>>);

#[derive(AvroSchema)]
#[avro(timestamp_millis)]
struct AnyText(String);

#[derive(AvroSchema)]
#[avro(time_millis)]
struct Wide(i64);

#[derive(AvroSchema)]
#[avro(timestamp_micros)]
struct Wider(u64);

#[derive(AvroSchema)]
#[avro(timestamp_micros)]
struct Many(Vec<i64>);

#[derive(AvroSchema)]
#[avro(timestamp_nanos)]
struct Floating(f64);

fn main() {}
