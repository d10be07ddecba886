//! AMQP 1.0 protocol binding.

use bytes::Bytes;
use chrono::DateTime;
use commerce_contracts::binding::amqp::{self, Value};
use commerce_contracts::{Attribute, CloudEvent, EnvelopeError};

use crate::{Outcome, Read, Refused, data, event};

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn read(
    prefix: &str,
    extra: Vec<(&str, Value)>,
    content_type: Option<&str>,
    body: Option<Bytes>,
) -> Result<CloudEvent, EnvelopeError> {
    let required = [
        ("specversion", "1.0"),
        ("id", "1"),
        ("source", "/s"),
        ("type", "t"),
    ];
    let mut properties: Vec<(String, Value)> = required
        .map(|(name, value)| (format!("{prefix}{name}"), text(value)))
        .to_vec();
    properties.extend(
        extra
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let properties = properties
        .iter()
        .map(|(name, value)| (name.as_str(), value));
    amqp::read(content_type, properties, body)
}

/// Rule, property, its value, outcome.
#[expect(clippy::too_many_lines, reason = "a table")]
fn properties() -> Vec<(&'static str, &'static str, Value, Outcome)> {
    vec![
        (
            "2 Boolean, native",
            "cloudEvents:x",
            Value::Boolean(true),
            Read(|event| event.extension("x") == Some(&Attribute::from(true))),
        ),
        (
            "2 Boolean, text",
            "cloudEvents:x",
            text("true"),
            Read(|event| event.extension("x") == Some(&Attribute::from("true"))),
        ),
        (
            "2 Integer, native",
            "cloudEvents:x",
            Value::Long(-7),
            Read(|event| event.extension("x") == Some(&Attribute::from(-7))),
        ),
        (
            "2 Integer is 32 bits",
            "cloudEvents:x",
            Value::Long(1 << 31),
            Refused("32 bits"),
        ),
        (
            "2 Timestamp, native",
            "cloudEvents:time",
            Value::Timestamp(1_500),
            Read(|event| event.time() == DateTime::from_timestamp_millis(1_500)),
        ),
        (
            "2 Timestamp, text",
            "cloudEvents:time",
            text("1970-01-01T00:00:01.5Z"),
            Read(|event| event.time() == DateTime::from_timestamp_millis(1_500)),
        ),
        (
            "2 Timestamp beyond the calendar",
            "cloudEvents:time",
            Value::Timestamp(i64::MAX),
            Refused("calendar"),
        ),
        (
            "2 Timestamp of five digits",
            "cloudEvents:time",
            Value::Timestamp(253_402_300_800_000),
            Refused("RFC 3339"),
        ),
        (
            "2 Timestamp of an extension",
            "cloudEvents:expirytime",
            Value::Timestamp(1_500),
            Read(|event| event.expiry_time() == DateTime::from_timestamp_millis(1_500)),
        ),
        (
            "2 Binary",
            "cloudEvents:x",
            Value::Binary(Bytes::from_static(b"\xff")),
            Read(|event| event.extension("x") == Some(&Attribute::from("/w=="))),
        ),
        (
            "2 String is text as it is",
            "cloudEvents:subject",
            text("Euro € %20"),
            Read(|event| event.subject() == Some("Euro € %20")),
        ),
        (
            "context: text where text is due",
            "cloudEvents:subject",
            Value::Boolean(true),
            Refused("not text"),
        ),
        (
            "context: text where text is due, id",
            "cloudEvents:id",
            Value::Long(1),
            Refused("not text"),
        ),
        (
            "context: control characters",
            "cloudEvents:subject",
            text("\u{7}"),
            Refused("control character"),
        ),
        (
            "3.1.3.1 names are lower-case letters and digits",
            "cloudEvents:Bad",
            text("x"),
            Refused("lower-case"),
        ),
        (
            "3.1.3.1 the prefix is in its own case",
            "cloudevents:id",
            text("2"),
            Read(|event| event.id() == "1"),
        ),
        (
            "3.1.3.1 properties of others",
            "x-opt-whatever",
            Value::Long(i64::MAX),
            Read(|event| event.extensions().count() == 0),
        ),
        (
            "3.1.3.1 the other separator, saying the same",
            "cloudEvents_id",
            text("1"),
            Read(|event| event.id() == "1"),
        ),
        (
            "3.1.3.1 the other separator, saying something else",
            "cloudEvents_id",
            text("2"),
            Refused("twice"),
        ),
    ]
}

#[test]
fn binary_mode() {
    for (rule, name, value, outcome) in properties() {
        outcome.check(rule, read("cloudEvents:", vec![(name, value)], None, None));
    }
}

#[test]
fn both_separators_are_read() {
    for prefix in amqp::PREFIXES {
        let read = read(
            prefix,
            vec![],
            Some("text/plain"),
            Some(Bytes::from_static(b"x")),
        )
        .unwrap();
        assert_eq!(
            (read.id(), read.data_content_type(), data(&read)),
            ("1", Some("text/plain"), &b"x"[..])
        );
    }
}

#[test]
fn modes() {
    let json = || Some(Bytes::from(event().to_json()));
    let structured = Some("Application/CloudEvents+JSON; charset=utf-8");
    assert_eq!(amqp::read(structured, [], json()), Ok(event()));
    assert_eq!(amqp::read(structured, [], None), Err(EnvelopeError::NoBody));
    for other in [
        "application/cloudevents-batch+json",
        "application/cloudevents+avro",
    ] {
        assert_eq!(
            amqp::read(Some(other), [], json()),
            Err(EnvelopeError::UnsupportedFormat)
        );
    }
    assert!(read("cloudEvents:", vec![], Some("text/plain\n"), None).is_err());
}

fn read_again(message: &amqp::Message) -> Result<CloudEvent, EnvelopeError> {
    let properties = message.application_properties.iter();
    let properties = properties.map(|(name, value)| (name.as_str(), value));
    amqp::read(
        message.content_type.as_deref(),
        properties,
        message.body.clone(),
    )
}

#[test]
fn what_is_written_is_native_and_comes_back_as_it_was() {
    let event = event()
        .with_time(DateTime::from_timestamp_millis(1_500).unwrap())
        .and_then(|event| event.with_extension("flag", false))
        .and_then(|event| event.with_extension("count", 3))
        .and_then(|event| event.with_data("text/plain", "x"))
        .unwrap();
    let message = amqp::to_binary(&event).unwrap();
    for (name, value) in [
        ("cloudEvents:specversion", text("1.0")),
        ("cloudEvents:time", Value::Timestamp(1_500)),
        ("cloudEvents:flag", Value::Boolean(false)),
        ("cloudEvents:count", Value::Long(3)),
    ] {
        assert!(
            message
                .application_properties
                .contains(&(name.to_owned(), value)),
            "{message:?}"
        );
    }
    assert_eq!(message.content_type.as_deref(), Some("text/plain"));
    assert_eq!(read_again(&message), Ok(event.clone()), "also its types");
    assert_eq!(read_again(&amqp::to_structured(&event)), Ok(event));
}

#[test]
fn a_time_that_milliseconds_do_not_hold_is_text() {
    for time in ["2026-11-21T10:00:00.000001Z", "2016-12-31T23:59:60Z"] {
        let time = DateTime::parse_from_rfc3339(time).unwrap().to_utc();
        let event = event().with_time(time).unwrap();
        assert_eq!(read_again(&amqp::to_binary(&event).unwrap()), Ok(event));
    }
}

#[test]
fn an_event_in_an_event_is_written_in_structured_mode_only() {
    let nested = event()
        .with_data("application/cloudevents+json", "{}")
        .unwrap();
    assert_eq!(amqp::to_binary(&nested), Err(EnvelopeError::Nested));
    assert_eq!(read_again(&amqp::to_structured(&nested)), Ok(nested));
}
