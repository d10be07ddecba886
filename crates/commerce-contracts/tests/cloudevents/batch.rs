//! JSON batch format.

use commerce_contracts::CloudEvent;
use commerce_contracts::binding::{BATCH_CONTENT_TYPE, Mode};

use crate::event;

#[test]
fn a_batch_is_an_array_of_events() {
    let events = [event(), event().with_data("text/plain", "[,]").unwrap()];
    let json = CloudEvent::to_json_batch(&events);
    let read = CloudEvent::from_json_batch(&json).unwrap();
    assert_eq!(
        read.into_iter().collect::<Result<Vec<_>, _>>().unwrap(),
        events
    );
}

#[test]
fn an_empty_batch_is_a_batch() {
    assert_eq!(CloudEvent::to_json_batch(&[]), b"[]");
    assert_eq!(CloudEvent::from_json_batch(b" [ ] "), Ok(Vec::new()));
}

#[test]
fn one_event_that_cannot_be_read_leaves_the_others() {
    let json = br#"[{"specversion":"1.0","id":"1","source":"/s","type":"t"}, {"id":"2"}, 3, null,
        {"specversion":"1.0","id":"4","source":"/s","type":"t","data":[]}]"#;
    let read = CloudEvent::from_json_batch(json).unwrap();
    let ids: Vec<Option<&str>> = read
        .iter()
        .map(|event| event.as_ref().ok().map(CloudEvent::id))
        .collect();
    assert_eq!(ids, [Some("1"), None, None, None, Some("4")]);
}

#[test]
fn what_is_no_array_is_no_batch() {
    for (rule, json) in [
        (
            "an object",
            &br#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#[..],
        ),
        ("nothing", b""),
        ("cut off", b"[{}"),
        ("more than one", b"[][]"),
        ("a comma too many", b"[{},]"),
        ("not UTF-8", b"[\"\xff\"]"),
    ] {
        let error = CloudEvent::from_json_batch(json).unwrap_err().to_string();
        assert!(
            error.starts_with("not a CloudEvent in JSON"),
            "{rule}: {error}"
        );
    }
}

#[test]
fn the_mode_is_told_by_the_media_type() {
    let table = [
        (Some(BATCH_CONTENT_TYPE), Some(Mode::Batch)),
        (
            Some("APPLICATION/CloudEvents-Batch+JSON"),
            Some(Mode::Batch),
        ),
        (Some("application/cloudevents-batch"), Some(Mode::Batch)),
        (
            Some("application/cloudevents+json; charset=UTF-8"),
            Some(Mode::Structured),
        ),
        (
            Some(" Application/CloudEvents+json;x"),
            Some(Mode::Structured),
        ),
        (Some("application/cloudevents"), Some(Mode::Structured)),
        (Some("application/cloudevents+avro"), None),
        (Some("application/cloudevents-batch+protobuf"), None),
        (Some("application/json"), Some(Mode::Binary)),
        (Some(""), Some(Mode::Binary)),
        (
            Some("application/cloud\u{e9}vents+json"),
            Some(Mode::Binary),
        ),
        (None, Some(Mode::Binary)),
    ];
    for (content_type, mode) in table {
        assert_eq!(Mode::of(content_type).ok(), mode, "{content_type:?}");
    }
}
