//! apache-avro as a second opinion.

use apache_avro::types::Value as AvroValue;
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use commerce_contracts::avro::Schema;
use serde_json::{Value, json};

pub(crate) fn schema(schema: &Schema) -> apache_avro::Schema {
    apache_avro::Schema::parse(&schema.to_json()).unwrap()
}

/// What apache-avro reads.
pub(crate) fn read(
    writer: &Schema,
    reader: Option<&Schema>,
    data: &[u8],
) -> Result<AvroValue, apache_avro::Error> {
    let writer = schema(writer);
    let reader = reader.map(schema);
    let read = apache_avro::reader::datum::GenericDatumReader::builder(&writer)
        .maybe_reader_schema(reader.as_ref())
        .build()?;
    read.read_value(&mut &data[..])
}

/// What apache-avro writes.
pub(crate) fn write(writer: &Schema, value: AvroValue) -> Vec<u8> {
    let writer = schema(writer);
    apache_avro::writer::datum::GenericDatumWriter::builder(&writer)
        .build()
        .unwrap()
        .write_value_to_vec(value)
        .unwrap()
}

/// The value as the JSON that our types have for it.
pub(crate) fn to_json(value: AvroValue) -> Value {
    match value {
        AvroValue::Null => Value::Null,
        AvroValue::Boolean(value) => value.into(),
        AvroValue::Int(value) => value.into(),
        AvroValue::Long(value) => value.into(),
        AvroValue::Float(value) => value.into(),
        AvroValue::Double(value) => value.into(),
        AvroValue::Bytes(bytes) | AvroValue::Fixed(_, bytes) => bytes.into(),
        AvroValue::String(text) | AvroValue::Enum(_, text) => text.into(),
        AvroValue::Union(_, value) => to_json(*value),
        AvroValue::Array(items) => items.into_iter().map(to_json).collect(),
        AvroValue::Map(entries) => entries
            .into_iter()
            .map(|(key, value)| (key, to_json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        AvroValue::Record(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, to_json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        AvroValue::Uuid(uuid) => json!(uuid.to_string()),
        AvroValue::Date(days) => json!(NaiveDate::from_epoch_days(days).unwrap().to_string()),
        AvroValue::TimestampMillis(millis) => {
            instant(DateTime::from_timestamp_millis(millis).unwrap())
        }
        AvroValue::TimestampMicros(micros) => {
            instant(DateTime::from_timestamp_micros(micros).unwrap())
        }
        AvroValue::TimestampNanos(nanos) => instant(DateTime::from_timestamp_nanos(nanos)),
        AvroValue::LocalTimestampMillis(millis) => {
            json!(DateTime::from_timestamp_millis(millis).unwrap().naive_utc())
        }
        AvroValue::LocalTimestampMicros(micros) => {
            json!(DateTime::from_timestamp_micros(micros).unwrap().naive_utc())
        }
        AvroValue::LocalTimestampNanos(nanos) => {
            json!(DateTime::from_timestamp_nanos(nanos).naive_utc())
        }
        AvroValue::TimeMillis(millis) => time(i64::from(millis) * 1_000_000),
        AvroValue::TimeMicros(micros) => time(micros * 1_000),
        AvroValue::Decimal(decimal) => {
            let bytes = Vec::<u8>::try_from(decimal).unwrap();
            let sign = if bytes.first().is_some_and(|first| *first >= 0x80) {
                0xff
            } else {
                0
            };
            let mut full = [sign; 16];
            full[16 - bytes.len()..].copy_from_slice(&bytes);
            let number = i128::from_be_bytes(full);
            u64::try_from(number).map_or_else(|_| json!(number.to_string()), Value::from)
        }
        other => unreachable!("no test has {other:?}"),
    }
}

fn instant(instant: DateTime<Utc>) -> Value {
    json!(instant.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn time(nanos: i64) -> Value {
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (seconds, nanos) = (
        u32::try_from(seconds).unwrap(),
        u32::try_from(nanos).unwrap(),
    );
    json!(NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos).unwrap())
}
