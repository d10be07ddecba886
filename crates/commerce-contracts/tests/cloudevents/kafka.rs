//! Kafka protocol binding.

use bytes::Bytes;
use commerce_contracts::binding::{STRUCTURED_CONTENT_TYPE, kafka};
use commerce_contracts::{Attribute, CloudEvent, EnvelopeError};

use crate::{Outcome, Read, Refused, data, event};

type Header = (&'static str, Option<&'static [u8]>);

const REQUIRED: [Header; 4] = [
    ("ce_specversion", Some(b"1.0")),
    ("ce_id", Some(b"1")),
    ("ce_source", Some(b"/s")),
    ("ce_type", Some(b"t")),
];

/// Rule, headers beside the required ones, value, outcome.
type Row = (
    &'static str,
    &'static [Header],
    Option<&'static [u8]>,
    Outcome,
);

const BINARY: &[Row] = &[
    (
        "3.2.2 a null value is no data: a tombstone",
        &[],
        None,
        Read(|event| event.data().is_none()),
    ),
    (
        "3.2.2 an empty value is empty data",
        &[],
        Some(b""),
        Read(|event| data(event).is_empty()),
    ),
    (
        "3.2.1 content-type is the data's",
        &[("content-type", Some(b"text/plain"))],
        Some(b"x"),
        Read(|event| event.data_content_type() == Some("text/plain")),
    ),
    (
        "3.2.1 a tombstone with a media type",
        &[("content-type", Some(b"text/plain"))],
        None,
        Read(|event| event.data().is_none()),
    ),
    (
        "3.2.1 content-type in any case",
        &[("Content-Type", Some(b"text/plain"))],
        Some(b"x"),
        Read(|event| event.data_content_type() == Some("text/plain")),
    ),
    (
        "3.2.1 two media types",
        &[
            ("content-type", Some(b"a/b")),
            ("content-type", Some(b"c/d")),
        ],
        None,
        Refused("twice"),
    ),
    (
        "3.2.1 a null media type",
        &[("content-type", None)],
        None,
        Refused("null header"),
    ),
    (
        "3.2.3.1 values are UTF-8 as it is",
        &[("ce_subject", Some("Euro € %20".as_bytes()))],
        None,
        Read(|event| event.subject() == Some("Euro € %20")),
    ),
    (
        "3.2.3.1 values that are not UTF-8",
        &[("ce_subject", Some(b"\xff"))],
        None,
        Refused("not UTF-8"),
    ),
    (
        "3.2.3.1 null headers of attributes",
        &[("ce_subject", None)],
        None,
        Refused("null header"),
    ),
    (
        "3.2.3.1 null headers of others",
        &[("x", None), ("ce-id", None)],
        None,
        Read(|event| event.id() == "1"),
    ),
    (
        "3.2.3.1 names are lower-case letters and digits",
        &[("ce_Bad", Some(b"x"))],
        None,
        Refused("lower-case"),
    ),
    (
        "3.2.3.1 an attribute twice",
        &[("ce_id", Some(b"2"))],
        None,
        Refused("twice"),
    ),
    (
        "3.3 structured mode without a value is no event",
        &[("content-type", Some(b"application/cloudevents+json"))],
        None,
        Refused("missing"),
    ),
    (
        "3.3 structured mode with a value that is none",
        &[("content-type", Some(b"application/cloudevents+json"))],
        Some(b"{}"),
        Refused("specversion"),
    ),
    (
        "3 there are no batches",
        &[("content-type", Some(b"application/cloudevents-batch+json"))],
        Some(b"[]"),
        Refused("format"),
    ),
    (
        "partitionkey stays in the event",
        &[("ce_partitionkey", Some(b"k"))],
        None,
        Read(|event| event.key() == Some("k")),
    ),
];

#[test]
fn what_is_read() {
    for (rule, headers, value, outcome) in BINARY {
        let headers = REQUIRED.iter().chain(*headers).copied();
        outcome.check(rule, kafka::read(headers, value.map(Bytes::from_static)));
    }
}

fn read_again(record: &kafka::Record) -> Result<CloudEvent, EnvelopeError> {
    let headers = record.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), Some(value.as_bytes())));
    kafka::read(headers, record.value.clone())
}

#[test]
fn what_is_written() {
    let event = event()
        .with_key("order-1")
        .and_then(|event| event.with_subject("Euro €"))
        .and_then(|event| event.with_extension("count", 3))
        .and_then(|event| event.with_data("text/plain", "x"))
        .unwrap();
    let record = kafka::to_binary(&event).unwrap();
    assert_eq!(
        record.key.as_deref(),
        Some(&b"order-1"[..]),
        "partitionkey is the key"
    );
    let has = |name: &str, value: &str| {
        record
            .headers
            .contains(&(name.to_owned(), value.to_owned()))
    };
    assert!(
        has("ce_partitionkey", "order-1")
            && has("ce_subject", "Euro €")
            && has("content-type", "text/plain")
    );
    let as_text = event
        .clone()
        .with_extension("count", Attribute::from("3"))
        .unwrap();
    assert_eq!(read_again(&record), Ok(as_text));

    let record = kafka::to_structured(&event);
    assert_eq!(
        record.headers,
        [(
            "content-type".to_owned(),
            STRUCTURED_CONTENT_TYPE.to_owned()
        )]
    );
    assert_eq!(read_again(&record), Ok(event));
}

#[test]
fn a_tombstone_is_a_null_value() {
    let record = kafka::to_binary(&event()).unwrap();
    assert_eq!((record.key.clone(), record.value.clone()), (None, None));
    assert_eq!(read_again(&record), Ok(event()));
    let empty = event().with_data("text/plain", "").unwrap();
    assert_eq!(kafka::to_binary(&empty).unwrap().value, Some(Bytes::new()));
}

#[test]
fn an_event_in_an_event_is_written_in_structured_mode_only() {
    let nested = event()
        .with_data("application/cloudevents+json", "{}")
        .unwrap();
    assert_eq!(kafka::to_binary(&nested), Err(EnvelopeError::Nested));
    assert_eq!(read_again(&kafka::to_structured(&nested)), Ok(nested));
}
