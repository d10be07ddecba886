//! The binding to headers, as Kafka and AMQP use it.

use bytes::Bytes;
use commerce_contracts::binding::{
    STRUCTURED_CONTENT_TYPE, from_headers, is_structured, to_headers,
};
use commerce_contracts::{Attribute, CloudEvent, EnvelopeError};

const REQUIRED: [(&str, &str); 4] = [
    ("ce_specversion", "1.0"),
    ("ce_id", "1"),
    ("ce_source", "/s"),
    ("ce_type", "t"),
];

fn read(
    extra: &[(&str, &str)],
    content_type: Option<&str>,
    data: Option<Bytes>,
) -> Result<CloudEvent, EnvelopeError> {
    from_headers(
        &["ce_"],
        REQUIRED.iter().chain(extra).copied(),
        content_type,
        data,
    )
}

#[test]
fn every_attribute_but_the_media_type_is_a_header() {
    let event = CloudEvent::new("/s", "t")
        .and_then(|event| event.with_id("1"))
        .and_then(|event| event.with_subject("Euro € 😀"))
        .and_then(|event| event.with_data_schema("urn:x"))
        .and_then(|event| event.with_key("k"))
        .and_then(|event| event.with_extension("flag", true))
        .and_then(|event| event.with_data("application/json", "1"))
        .unwrap();
    let mut headers = to_headers(&event, "cloudEvents:");
    headers.sort();
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        headers,
        [
            ("cloudEvents:dataschema", "urn:x"),
            ("cloudEvents:flag", "true"),
            ("cloudEvents:id", "1"),
            ("cloudEvents:partitionkey", "k"),
            ("cloudEvents:source", "/s"),
            ("cloudEvents:specversion", "1.0"),
            ("cloudEvents:subject", "Euro € 😀"),
            ("cloudEvents:type", "t"),
        ]
    );
}

#[test]
fn both_prefixes_of_amqp_are_read() {
    for separator in [':', '_'] {
        let headers: Vec<(String, &str)> = REQUIRED
            .iter()
            .map(|(name, value)| {
                (
                    name.replace("ce_", &format!("cloudEvents{separator}")),
                    *value,
                )
            })
            .collect();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), *value));
        let event = from_headers(&["cloudEvents:", "cloudEvents_"], headers, None, None).unwrap();
        assert_eq!(
            (event.id(), event.source(), event.event_type()),
            ("1", "/s", "t")
        );
    }
}

#[test]
fn headers_of_others_are_not_looked_at() {
    let event = read(
        &[
            ("x-retries", "\u{0}"),
            ("ce-id", "2"),
            ("CE_ID", "3"),
            ("ce_known", "yes"),
        ],
        None,
        None,
    )
    .unwrap();
    assert_eq!(event.id(), "1");
    assert_eq!(
        event.extensions().collect::<Vec<_>>(),
        [("known", &Attribute::from("yes"))]
    );
}

#[test]
fn foreign_mistakes_are_errors() {
    for (header, value) in [
        ("ce_Bad-Name!", "x"),
        ("ce_", "x"),
        ("ce_a", "\u{1}"),
        ("ce_id", "2"),
        ("ce_time", "noon"),
        ("ce_data", "x"),
    ] {
        assert!(read(&[(header, value)], None, None).is_err(), "{header}");
    }
    assert_eq!(
        from_headers(
            &["ce_"],
            [("ce_specversion", "1.0")].into_iter(),
            None,
            None
        ),
        Err(EnvelopeError::Missing { attribute: "id" })
    );
    // JSON could not carry it, and what was received is often sent on.
    let data = Some(Bytes::from_static(b"1"));
    let error = read(&[], Some("text/plain\u{1}"), data).unwrap_err();
    assert!(error.to_string().contains("control character"), "{error}");
}

#[test]
fn a_tombstone_and_empty_data_differ() {
    assert_eq!(read(&[], None, None).unwrap().data(), None);
    assert_eq!(
        read(&[], None, Some(Bytes::new())).unwrap().data(),
        Some(&Bytes::new())
    );
}

#[test]
fn the_media_type_is_the_transports_own_field() {
    let data = Some(Bytes::from_static(b"1"));
    assert_eq!(
        read(&[], Some("text/plain"), data.clone())
            .unwrap()
            .data_content_type(),
        Some("text/plain")
    );
    assert_eq!(
        read(&[], None, data.clone()).unwrap().data_content_type(),
        None
    );
    let said_twice = read(
        &[("ce_datacontenttype", "text/xml")],
        Some("text/plain"),
        data.clone(),
    )
    .unwrap();
    assert_eq!(said_twice.data_content_type(), Some("text/plain"));
    assert_eq!(
        read(&[("ce_datacontenttype", "text/xml")], None, data)
            .unwrap()
            .data_content_type(),
        Some("text/xml")
    );
}

#[test]
fn structured_mode_is_told_from_the_media_type() {
    for structured in [
        STRUCTURED_CONTENT_TYPE,
        "application/cloudevents+json",
        "Application/CloudEvents+JSON;charset=utf-8",
        "application/cloudevents",
        " application/cloudevents+json ; x=y",
    ] {
        assert!(is_structured(structured), "{structured}");
    }
    for other in [
        "application/json",
        "application/cloudevents-batch+json",
        "application/cloudevents+avro",
        "",
        "application/cloudeventsx",
    ] {
        assert!(!is_structured(other), "{other}");
    }
    for whole in [
        "application/cloudevents-batch+json",
        "application/cloudevents+avro",
        "APPLICATION/CLOUDEVENTS+protobuf",
    ] {
        assert_eq!(
            read(&[], Some(whole), None),
            Err(EnvelopeError::UnsupportedFormat),
            "{whole}"
        );
    }
}
