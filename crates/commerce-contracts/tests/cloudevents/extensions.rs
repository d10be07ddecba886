//! Documented extensions: what each asks of its value.

use chrono::{DateTime, Utc};
use commerce_contracts::{Attribute, CloudEvent};

use crate::event;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// An event that somebody else wrote.
fn foreign(name: &str, value: &str) -> CloudEvent {
    let value = serde_json::to_string(value).unwrap();
    let json =
        format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","{name}":{value}}}"#);
    CloudEvent::from_json(json.as_bytes()).unwrap()
}

#[test]
fn traceparent_has_the_form_of_w3c_trace_context() {
    for good in [
        PARENT,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-will-be",
    ] {
        assert!(event().with_trace_parent(good).is_ok(), "{good}");
        assert_eq!(foreign("traceparent", good).trace_parent(), Some(good));
    }
    for bad in [
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "é0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "garbage",
    ] {
        assert!(event().with_trace_parent(bad).is_err(), "{bad}");
        let read = foreign("traceparent", bad);
        assert_eq!(read.trace_parent(), None, "{bad}");
        assert_eq!(
            read.extension("traceparent"),
            Some(&Attribute::from(bad)),
            "kept"
        );
    }
}

#[test]
fn tracestate_has_the_form_of_w3c_trace_context() {
    let many = |count: usize| {
        let members: Vec<String> = (0..count).map(|index| format!("k{index}=v")).collect();
        members.join(",")
    };
    let (key, long_key) = ("k".repeat(256), "k".repeat(257));
    let (value, long_value) = ("v".repeat(256), "v".repeat(257));
    for good in [
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE".to_owned(),
        "a=1 , b=2,, c=3".to_owned(),
        "fw529a3039@dt=FfAB;x:y".to_owned(),
        "1a-2*3/4_5=x y".to_owned(),
        many(32),
        format!("{key}={value}"),
    ] {
        assert!(event().with_trace_state(&good).is_ok(), "{good}");
        assert_eq!(
            foreign("tracestate", &good).trace_state(),
            Some(good.as_str())
        );
    }
    for bad in [
        "a".to_owned(),
        "a=".to_owned(),
        "=1".to_owned(),
        "A=1".to_owned(),
        "a=1,a=2".to_owned(),
        "a=1=2".to_owned(),
        "a=é".to_owned(),
        "-a=1".to_owned(),
        ",".to_owned(),
        many(33),
        format!("{long_key}=v"),
        format!("k={long_value}"),
    ] {
        assert!(event().with_trace_state(&bad).is_err(), "{bad}");
        assert_eq!(foreign("tracestate", &bad).trace_state(), None, "{bad}");
    }
}

#[test]
fn sequence_numbers_are_compared_as_text() {
    let numbers = [0, 9, 10, 99, 100, u64::MAX];
    let texts: Vec<String> = numbers
        .iter()
        .map(|number| {
            let event = event().with_sequence_number(*number).unwrap();
            assert_eq!(event.sequence_number(), Some(*number));
            event.sequence().unwrap().to_owned()
        })
        .collect();
    assert!(texts.is_sorted(), "{texts:?}");
    assert!(texts.iter().all(|text| text.len() == 20));
    assert_eq!(foreign("sequence", "7").sequence_number(), Some(7));
    for none in ["+7", "-7", "7a", "18446744073709551616", ""] {
        assert_eq!(foreign("sequence", none).sequence_number(), None, "{none}");
    }
}

#[test]
fn an_event_expires_at_its_expiry_time() {
    let event = event()
        .with_expiry_time(at("2026-11-21T10:00:00Z"))
        .unwrap();
    assert_eq!(
        event.extension("expirytime"),
        Some(&Attribute::from("2026-11-21T10:00:00Z"))
    );
    assert!(!event.is_expired(at("2026-11-21T09:59:59.999Z")));
    assert!(event.is_expired(at("2026-11-21T10:00:00Z")));
    assert!(event.is_expired(at("2026-11-21T10:00:01Z")));
    assert!(
        !crate::event().is_expired(DateTime::<Utc>::MAX_UTC),
        "without one it never does"
    );
    // Somebody else's mistake throws no event away.
    assert!(!foreign("expirytime", "soon").is_expired(DateTime::<Utc>::MAX_UTC));
    assert_eq!(
        foreign("expirytime", "2026-11-21T12:00:00+02:00").expiry_time(),
        event.expiry_time()
    );
    assert!(event.clone().with_extension("expirytime", "soon").is_err());
    assert!(event.with_expiry_time(DateTime::<Utc>::MAX_UTC).is_err());
}

#[test]
fn a_data_reference_is_a_uri_reference() {
    let event = event().with_data_ref("s3://bucket/key").unwrap();
    assert_eq!(event.data_ref(), Some("s3://bucket/key"));
    assert!(event.clone().with_data_ref("a b").is_err());
    assert!(event.with_data_ref("").is_err());
}

#[test]
fn a_data_schema_is_an_absolute_uri() {
    assert!(event().with_data_schema("urn:contract:x:v1").is_ok());
    for bad in ["", "schema.json", "/schema", "a b:c"] {
        assert!(event().with_data_schema(bad).is_err(), "{bad}");
    }
}

#[test]
fn keys_and_causes_are_text_that_is_there() {
    for name in ["partitionkey", "correlationid", "causationid", "sequence"] {
        assert!(event().with_extension(name, "x").is_ok(), "{name}");
        assert!(event().with_extension(name, "").is_err(), "{name}");
        assert!(event().with_extension(name, 1).is_err(), "{name}");
        assert_eq!(
            foreign(name, "").extension(name),
            None,
            "{name}: an empty one is none"
        );
    }
}
