//! Random data.

use std::collections::HashMap;

use apache_avro::Decimal;
use apache_avro::types::Value as Datum;
use fastrand::Rng;
use serde_json::Value;

use super::{kind, resolved};

pub(super) fn datum(
    rng: &mut Rng,
    schema: &Value,
    names: &HashMap<String, &Value>,
    depth: u32,
) -> Option<Datum> {
    if depth > 8 {
        return None;
    }
    let schema = resolved(schema, names);
    let logical = schema.get("logicalType").and_then(Value::as_str);
    Some(match (kind(schema), logical) {
        ("int", Some("date")) => Datum::Date(rng.i32(..)),
        ("long", Some("timestamp-millis")) => Datum::TimestampMillis(rng.i64(..)),
        ("long", Some("timestamp-micros")) => Datum::TimestampMicros(rng.i64(..)),
        ("string", Some("uuid")) => Datum::Uuid(uuid::Uuid::from_u128(rng.u128(..))),
        // Four bytes hold every precision that is generated; apache-avro refuses shorter ones than the precision could need.
        ("bytes", Some("decimal")) => Datum::Decimal(Decimal::from([0, 0, rng.u8(..), rng.u8(..)])),
        ("null", _) => Datum::Null,
        ("boolean", _) => Datum::Boolean(rng.bool()),
        ("int", _) => Datum::Int(rng.i32(..)),
        ("long", _) => Datum::Long(rng.i64(..)),
        ("float", _) => Datum::Float(rng.f32()),
        ("double", _) => Datum::Double(rng.f64()),
        ("bytes", _) => Datum::Bytes((0..rng.usize(..4)).map(|_| rng.u8(..)).collect()),
        ("string", _) => Datum::String((0..rng.usize(..4)).map(|_| rng.char(..)).collect()),
        ("fixed", _) => {
            let size = usize::try_from(schema["size"].as_u64().unwrap()).unwrap();
            Datum::Fixed(size, (0..size).map(|_| rng.u8(..)).collect())
        }
        ("enum", _) => {
            let symbols = schema["symbols"].as_array().unwrap();
            let at = rng.usize(..symbols.len());
            Datum::Enum(
                u32::try_from(at).unwrap(),
                symbols[at].as_str().unwrap().to_owned(),
            )
        }
        ("array", _) => Datum::Array(
            (0..rng.usize(..3))
                .map(|_| datum(rng, &schema["items"], names, depth + 1))
                .collect::<Option<_>>()?,
        ),
        ("map", _) => Datum::Map(
            (0..rng.usize(..3))
                .map(|index| {
                    Some((
                        index.to_string(),
                        datum(rng, &schema["values"], names, depth + 1)?,
                    ))
                })
                .collect::<Option<_>>()?,
        ),
        ("union", _) => {
            let branches = schema.as_array().unwrap();
            let at = rng.usize(..branches.len());
            let inner = datum(rng, &branches[at], names, depth + 1)?;
            Datum::Union(u32::try_from(at).unwrap(), Box::new(inner))
        }
        ("record", _) => {
            let mut fields = Vec::new();
            for field in schema["fields"].as_array().unwrap() {
                fields.push((
                    field["name"].as_str().unwrap().to_owned(),
                    datum(rng, &field["type"], names, depth + 1)?,
                ));
            }
            Datum::Record(fields)
        }
        (other, _) => panic!("the generator does not know {other}"),
    })
}
