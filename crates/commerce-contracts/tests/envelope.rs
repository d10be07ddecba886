//! The envelope: what it refuses to write, and what it makes of bytes that somebody else wrote.

use commerce_contracts::{Attribute, CloudEvent, EnvelopeError};

fn event() -> CloudEvent {
    CloudEvent::new("/orders", "orders.order.placed.v1")
        .unwrap()
        .with_id("1")
        .unwrap()
}

fn read(json: &str) -> Result<CloudEvent, EnvelopeError> {
    CloudEvent::from_json(json.as_bytes())
}

/// The required attributes and whatever is given.
fn read_with(members: &str) -> Result<CloudEvent, EnvelopeError> {
    read(&format!(
        r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{members}}}"#
    ))
}

#[test]
fn what_the_specification_forbids_is_not_written() {
    for source in ["", "a b", "http://[", "%zz", "caf\u{e9}", "a\nb"] {
        assert!(CloudEvent::new(source, "t").is_err(), "{source:?}");
    }
    for source in [
        "/orders",
        "urn:x:1",
        "https://shop.example/orders?x#y",
        "orders",
    ] {
        assert!(CloudEvent::new(source, "t").is_ok(), "{source:?}");
    }
    assert!(CloudEvent::new("/s", "").is_err());
    for text in ["", "a\u{0}", "a\u{7f}", "a\u{9f}", "a\u{fffe}", "\u{fdd0}"] {
        assert!(event().with_id(text).is_err(), "{text:?}");
        assert!(event().with_subject(text).is_err(), "{text:?}");
        assert!(event().with_key(text).is_err(), "{text:?}");
        assert!(event().with_transaction_id(text).is_err(), "{text:?}");
        assert!(event().with_causation_id(text).is_err(), "{text:?}");
    }
    for name in [
        "",
        "Bad",
        "bad-name",
        "bad_name",
        "na\u{ef}ve",
        "data",
        "id",
        "time",
        "datacontenttype",
        "specversion",
    ] {
        assert!(event().with_extension(name, "x").is_err(), "{name:?}");
    }
    for media_type in [
        "",
        "json",
        "application/",
        "/json",
        "a b/json",
        "application/json; x=\n",
    ] {
        assert!(
            event().with_data(media_type, "1").is_err(),
            "{media_type:?}"
        );
    }
    assert!(event().with_data_schema("relative/path").is_err());
    assert!(event().with_extension("partitionkey", 5).is_err());
    assert!(
        event()
            .with_time(chrono::DateTime::<chrono::Utc>::MAX_UTC)
            .is_err()
    );
    for trace in [
        "",
        "00-0-0-00",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        assert!(event().with_trace_parent(trace).is_err(), "{trace:?}");
    }
    assert!(
        event()
            .with_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .is_ok()
    );
}

#[test]
fn errors_never_quote_the_value() {
    let error = event().with_subject("secret\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the attribute \"subject\" holds a control character"
    );
    let error = read(r#""secret""#).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = read_with(r#","time":"secret""#).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn debug_shows_the_length_of_the_data_and_never_the_data() {
    let event = event().with_data("text/plain", "secret").unwrap();
    let shown = format!("{event:?}");
    assert!(
        shown.contains("data_bytes: Some(6)") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn required_attributes_are_required() {
    for (attribute, json) in [
        ("specversion", r#"{"id":"1","source":"/s","type":"t"}"#),
        ("id", r#"{"specversion":"1.0","source":"/s","type":"t"}"#),
        ("source", r#"{"specversion":"1.0","id":"1","type":"t"}"#),
        (
            "type",
            r#"{"specversion":"1.0","id":"1","source":"/s","type":null}"#,
        ),
    ] {
        assert_eq!(read(json), Err(EnvelopeError::Missing { attribute }));
    }
    for json in [
        r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#,
        r#"{"specversion":1.0,"id":"1","source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":1,"source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"1","source":"","type":"t"}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":true}"#,
    ] {
        assert!(
            matches!(read(json), Err(EnvelopeError::Invalid { .. })),
            "{json}"
        );
    }
}

#[test]
fn extensions_are_text_booleans_and_whole_numbers_of_32_bits() {
    let event = read_with(r#","a":"x","b":true,"c":-2147483648,"d":null"#).unwrap();
    assert_eq!(event.extension("a"), Some(&Attribute::from("x")));
    assert_eq!(event.extension("b"), Some(&Attribute::from(true)));
    assert_eq!(event.extension("c"), Some(&Attribute::from(i32::MIN)));
    assert_eq!(event.extension("d"), None, "null means unset");
    for members in [
        r#","a":2147483648"#,
        r#","a":1.5"#,
        r#","a":[]"#,
        r#","a":{}"#,
        r#","Bad-Name!":"x""#,
        r#","":"x""#,
        r#","a":"\u0007""#,
        r#","a":"\ud800""#,
    ] {
        assert!(read_with(members).is_err(), "{members}");
    }
}

#[test]
fn an_attribute_that_is_there_twice_must_say_the_same() {
    assert!(read_with(r#","subject":"a","subject":"a""#).is_ok());
    assert_eq!(
        read_with(r#","subject":"a","subject":"b""#),
        Err(EnvelopeError::Duplicate {
            attribute: "subject".into()
        })
    );
    assert_eq!(
        read_with(r#","data":1,"data":1"#),
        Err(EnvelopeError::Duplicate {
            attribute: "data".into()
        })
    );
}

#[test]
fn empty_optional_attributes_count_as_unset() {
    let event = read_with(
        r#","subject":"","dataschema":"","partitionkey":"","time":"","datacontenttype":"""#,
    )
    .unwrap();
    assert_eq!(
        (event.subject(), event.data_schema(), event.key()),
        (None, None, None)
    );
    assert_eq!((event.time(), event.data_content_type()), (None, None));
}

#[test]
fn numbers_where_the_specification_says_text_are_read_as_text() {
    let event = read_with(r#","partitionkey":42,"sequence":7"#).unwrap();
    assert_eq!((event.key(), event.sequence()), (Some("42"), Some("7")));
}

#[test]
fn a_trace_that_is_none_is_ignored_and_kept() {
    let event = read_with(r#","traceparent":"garbage""#).unwrap();
    assert_eq!(event.trace_parent(), None);
    assert_eq!(
        event.extension("traceparent"),
        Some(&Attribute::from("garbage"))
    );
}

#[test]
fn times_are_rfc_3339_with_all_their_digits() {
    let event = read_with(r#","time":"2026-11-21T10:00:00.123456789-03:00""#).unwrap();
    assert!(
        String::from_utf8(event.to_json())
            .unwrap()
            .contains(r#""time":"2026-11-21T13:00:00.123456789Z""#)
    );
    for time in [
        "yesterday",
        "2026-11-21",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ] {
        assert!(
            read_with(&format!(r#","time":"{time}""#)).is_err(),
            "{time}"
        );
    }
}

#[test]
fn data_and_data_base64_exclude_each_other() {
    assert_eq!(
        read_with(r#","data":1,"data_base64":"MQ==""#),
        Err(EnvelopeError::DataTwice)
    );
    assert_eq!(
        read_with(r#","data":null,"data_base64":"MQ==""#),
        Err(EnvelopeError::DataTwice)
    );
    assert_eq!(
        read_with(r#","data":1,"data_base64":null"#)
            .unwrap()
            .data()
            .unwrap(),
        "1"
    );
    assert_eq!(
        read_with(r#","data_base64":"MQ""#).unwrap().data().unwrap(),
        "1",
        "padding may be missing"
    );
    assert!(read_with(r#","data_base64":"*""#).is_err());
    assert!(read_with(r#","data_base64":5"#).is_err());
}

#[test]
fn no_data_null_and_empty_data_differ() {
    assert_eq!(read_with("").unwrap().data(), None);
    assert_eq!(
        read_with(r#","data":null"#).unwrap().data().unwrap(),
        "null"
    );
    assert_eq!(
        read_with(r#","data_base64":"""#).unwrap().data().unwrap(),
        ""
    );
    let empty = event().with_data("application/json", "").unwrap();
    assert_eq!(CloudEvent::from_json(&empty.to_json()).unwrap(), empty);
}

#[test]
fn data_is_json_unless_its_media_type_says_otherwise() {
    let data = |members: &str| read_with(members).unwrap().data().unwrap().clone();
    assert_eq!(
        data(r#","data":{"a" : 1.50}"#),
        r#"{"a" : 1.50}"#,
        "byte for byte"
    );
    assert_eq!(
        data(r#","data":"text""#),
        r#""text""#,
        "a string is not read again"
    );
    assert_eq!(
        data(r#","datacontenttype":"APPLICATION/JSON","data":"text""#),
        r#""text""#
    );
    assert_eq!(
        data(r#","datacontenttype":"application/x+JSON; charset=utf-8","data":{}"#),
        "{}"
    );
    assert_eq!(
        data(r#","datacontenttype":"text/xml","data":"<a b=\"c\"/>""#),
        r#"<a b="c"/>"#
    );
    assert_eq!(data(r#","datacontenttype":"text/plain","data":5"#), "5");
    assert_eq!(
        read_with(r#","data":1"#).unwrap().data_content_type(),
        Some("application/json"),
        "said from here on"
    );
    assert_eq!(
        read_with(r#","data_base64":"MQ==""#)
            .unwrap()
            .data_content_type(),
        None
    );
}

#[test]
fn json_data_stays_json_and_other_data_is_text_or_base64() {
    let json = |content_type: &str, data: &'static [u8]| {
        let event = event().with_data(content_type, data).unwrap();
        assert_eq!(CloudEvent::from_json(&event.to_json()).unwrap(), event);
        String::from_utf8(event.to_json()).unwrap()
    };
    assert!(json("application/json", br#"{"a": 1}"#).ends_with(r#","data":{"a": 1}}"#));
    assert!(
        json("application/json", b" 1").ends_with(r#","data_base64":"IDE="}"#),
        "space would be lost"
    );
    assert!(
        json("application/json", b"{").ends_with(r#","data_base64":"ew=="}"#),
        "not JSON after all"
    );
    assert!(json("text/plain", b"hi").ends_with(r#","data":"hi"}"#));
    assert!(json("application/octet-stream", b"\xff").ends_with(r#","data_base64":"/w=="}"#));
}

#[test]
fn what_is_no_json_object_is_malformed() {
    for json in [
        "",
        "[]",
        "1",
        "null",
        "{",
        "{}{}",
        "\u{feff}{}",
        r#"{"a":}"#,
    ] {
        let error = read(json).unwrap_err();
        assert!(
            matches!(
                error,
                EnvelopeError::Malformed { .. } | EnvelopeError::Missing { .. }
            ),
            "{json}: {error}"
        );
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(
        read_with(&format!(r#","data":{deep}"#)).is_ok(),
        "data is not looked into"
    );
    assert!(read_with(&format!(r#","a":{deep}"#)).is_err());
}
