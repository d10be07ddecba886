//! Values of AMQP headers, and the headers of a message among them.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use lapin::types::{AMQPValue, ByteArray, FieldArray, FieldTable, LongString, ShortString};

use crate::error::{Error, ErrorKind};
use crate::headers::Headers;

/// What this backend adds to a message begins so.
pub(super) const OURS: &str = "commerce-";

/// The names of the headers in their order, with commas between, or an array where a foreign name holds a comma: AMQP's
/// table has neither an order nor a name twice.
const ORDER: &str = "commerce-header-order";

/// What the broker writes.
const BROKERS_OWN: [&str; 5] = [
    "x-death",
    "x-delivery-count",
    "x-acquired-count",
    "x-first-death-",
    "x-last-death-",
];

pub(super) fn is_brokers_own(name: &str) -> bool {
    BROKERS_OWN.iter().any(|own| name.starts_with(own))
}

/// Text as a header has it.
pub(super) fn long(text: impl Into<Vec<u8>>) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text.into()))
}

/// Text where the bytes are text, so that every client can show it; else bytes.
fn value_of(bytes: &Bytes) -> AMQPValue {
    if std::str::from_utf8(bytes).is_ok() {
        long(bytes.to_vec())
    } else {
        AMQPValue::ByteArray(ByteArray::from(bytes.to_vec()))
    }
}

/// The bytes of text and of byte arrays, the text of everything else.
pub(super) fn bytes_of(value: &AMQPValue) -> Bytes {
    match value {
        AMQPValue::LongString(text) => Bytes::copy_from_slice(text.as_bytes()),
        AMQPValue::ByteArray(bytes) => Bytes::copy_from_slice(bytes.as_slice()),
        AMQPValue::Void => Bytes::new(),
        AMQPValue::Float(number) => Bytes::from(number.to_string()),
        AMQPValue::Double(number) => Bytes::from(number.to_string()),
        other => text(other).map_or_else(|| Bytes::from(format!("{other:?}")), Bytes::from),
    }
}

/// The text of what can be an attribute: other clients write attributes with the types that CloudEvents has.
pub(super) fn text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.to_owned(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortShortUInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::ShortUInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongUInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        AMQPValue::Timestamp(seconds) => {
            let time = DateTime::from_timestamp(i64::try_from(*seconds).ok()?, 0)?;
            time.to_rfc3339_opts(SecondsFormat::Secs, true)
        }
        _ => return None,
    })
}

/// About how many bytes headers of ours come to on the wire.
pub(super) fn size(table: &FieldTable) -> usize {
    let each = table.inner().iter();
    each.map(|(name, value)| 1 + name.as_str().len() + value_size(value))
        .sum()
}

fn value_size(value: &AMQPValue) -> usize {
    5 + match value {
        AMQPValue::LongString(text) => text.len(),
        AMQPValue::ByteArray(bytes) => bytes.len(),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(value_size).sum(),
        _ => 8,
    }
}

/// Adds the headers of a message. A name that occurs more than once becomes an array.
pub(super) fn write(headers: &Headers, table: &mut FieldTable) -> Result<(), Error> {
    let mut values: BTreeMap<&str, Vec<AMQPValue>> = BTreeMap::new();
    for (name, value) in headers.iter() {
        values.entry(name).or_default().push(value_of(value));
    }
    let names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
    for (name, mut values) in values {
        let key = ShortString::try_new(name).map_err(|error| {
            let problem = "a header's name is longer than the 255 bytes that AMQP takes";
            Error::new(ErrorKind::Message, "publish", problem).with_source(error)
        })?;
        let value = match values.pop() {
            Some(only) if values.is_empty() => only,
            last => {
                values.extend(last);
                AMQPValue::FieldArray(FieldArray::from(values))
            }
        };
        table.insert(key, value);
    }
    if !names.is_sorted_by(|one, next| one < next) {
        let order = if names.iter().any(|name| name.contains(',')) {
            let names: Vec<AMQPValue> = names.into_iter().map(long).collect();
            AMQPValue::FieldArray(FieldArray::from(names))
        } else {
            long(names.join(","))
        };
        table.insert(ShortString::from(ORDER), order);
    }
    Ok(())
}

/// The headers of a message: all that are not attributes, ours or the broker's, in the order they were added where it
/// is known, else by name.
pub(super) fn read(table: &FieldTable, is_attribute: impl Fn(&str) -> bool) -> Headers {
    let ordered: Vec<String> = match table.inner().get(ORDER) {
        Some(AMQPValue::FieldArray(names)) => names.as_slice().iter().filter_map(text).collect(),
        Some(names) => {
            let names = text(names).unwrap_or_default();
            names.split(',').map(str::to_owned).collect()
        }
        None => Vec::new(),
    };
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &ordered {
        *times.entry(name).or_default() += 1;
    }
    let mut values: BTreeMap<&str, Vec<&AMQPValue>> = BTreeMap::new();
    for (name, value) in table.inner() {
        let name = name.as_str();
        if is_attribute(name) || name.starts_with(OURS) || is_brokers_own(name) {
            continue;
        }
        let twice = times.get(name).is_some_and(|times| *times > 1);
        let each = match value {
            AMQPValue::FieldArray(array) if twice => array.as_slice().iter().rev().collect(),
            value => vec![value],
        };
        values.insert(name, each);
    }
    let mut headers = Vec::with_capacity(values.len());
    for name in &ordered {
        if let Some(value) = values.get_mut(name.as_str()).and_then(Vec::pop) {
            headers.push((name.clone(), bytes_of(value)));
        }
    }
    for (name, values) in values {
        let rest = values.into_iter().rev();
        headers.extend(rest.map(|value| (name.to_owned(), bytes_of(value))));
    }
    headers.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(headers: &Headers) -> Headers {
        let mut table = FieldTable::default();
        write(headers, &mut table).unwrap();
        read(&table, |name| name.starts_with("cloudEvents:"))
    }

    proptest! {
        #[test]
        fn headers_come_back_as_they_went(
            headers in proptest::collection::vec(("[a-d,]{1,2}", proptest::collection::vec(any::<u8>(), 0..4)), 0..8)
        ) {
            let headers: Headers = headers
                .into_iter()
                .map(|(name, value)| (name, Bytes::from(value)))
                .collect();
            prop_assert_eq!(back(&headers), headers);
        }
    }

    #[test]
    fn foreign_headers_are_kept_and_the_brokers_are_not() {
        let mut table = FieldTable::default();
        for (name, value) in [
            ("X-Trace", long("abc")),
            ("bytes", AMQPValue::ByteArray(ByteArray::from(vec![0xff]))),
            ("cloudEvents:id", long("1")),
            ("commerce-attempts", AMQPValue::LongLongInt(3)),
            ("half", AMQPValue::Double(0.5)),
            ("nothing", AMQPValue::Void),
            ("number", AMQPValue::LongInt(-7)),
            ("x-delivery-count", AMQPValue::LongLongInt(3)),
            ("x-own", AMQPValue::Boolean(true)),
        ] {
            table.insert(ShortString::from(name), value);
        }
        let headers = read(&table, |name| name.starts_with("cloudEvents:"));
        let found: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (name, value.as_ref()))
            .collect();
        let expected: [(&str, &[u8]); 6] = [
            ("X-Trace", b"abc"),
            ("bytes", &[0xff]),
            ("half", b"0.5"),
            ("nothing", b""),
            ("number", b"-7"),
            ("x-own", b"true"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_order_that_does_not_fit_loses_no_header() {
        let mut table = FieldTable::default();
        table.insert(ShortString::from("a"), long("1"));
        table.insert(ShortString::from("b"), long("2"));
        table.insert(ShortString::from(ORDER), long("b,b,gone,,"));
        let headers = read(&table, |_| false);
        let names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a"]);
    }
}
