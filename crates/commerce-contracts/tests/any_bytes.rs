//! No bytes make the envelope panic, and every event survives its way through JSON and headers.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use commerce_contracts::binding::{amqp, from_headers, http, kafka, to_headers};
use commerce_contracts::{Attribute, CloudEvent};
use proptest::prelude::*;

const TEXT: &str = "[^\\p{Cc}\\u{fdd0}-\\u{fdef}\\u{fffe}\\u{ffff}\\u{10000}-\\u{10ffff}]{1,12}|😀";

fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        any::<bool>().prop_map(Attribute::from),
        any::<i32>().prop_map(Attribute::from),
        TEXT.prop_map(Attribute::from)
    ]
}

fn time() -> impl Strategy<Value = DateTime<Utc>> {
    (-62_167_219_200_i64..253_402_300_800, 0_u32..1_000_000_000)
        .prop_map(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos).unwrap())
}

fn data() -> impl Strategy<Value = Option<(&'static str, Vec<u8>)>> {
    let types = [
        "application/json",
        "application/x+json; charset=utf-8",
        "text/plain",
        "application/octet-stream",
    ];
    let bytes = prop_oneof![
        any::<Vec<u8>>(),
        any::<String>().prop_map(String::into_bytes),
        any::<String>().prop_map(|text| serde_json::to_vec(&text).unwrap()),
        any::<i64>().prop_map(|number| format!("{{\"a\" : {number}}}").into_bytes()),
    ];
    prop::option::of((prop::sample::select(types.to_vec()), bytes))
}

prop_compose! {
    fn events()(
        (id, event_type) in (TEXT, TEXT),
        source in "[a-z]{1,8}|/[a-z/]{0,8}|urn:[a-z]{2,5}:[a-z0-9]{1,5}",
        (subject, key, schema) in (prop::option::of(TEXT), prop::option::of(TEXT), prop::option::of("urn:[a-z]{2,5}:[a-z0-9]{1,5}")),
        time in prop::option::of(time()),
        extensions in prop::collection::btree_map("x[a-z0-9]{0,10}", attribute(), 0..5),
        data in data(),
    ) -> CloudEvent {
        build(CloudEvent::new(source, event_type).unwrap().with_id(id).unwrap(), subject, key, schema, time, extensions, data)
    }
}

fn build(
    mut event: CloudEvent,
    subject: Option<String>,
    key: Option<String>,
    schema: Option<String>,
    time: Option<DateTime<Utc>>,
    extensions: BTreeMap<String, Attribute>,
    data: Option<(&'static str, Vec<u8>)>,
) -> CloudEvent {
    if let Some(subject) = subject {
        event = event.with_subject(subject).unwrap();
    }
    if let Some(key) = key {
        event = event.with_key(key).unwrap();
    }
    if let Some(schema) = schema {
        event = event.with_data_schema(schema).unwrap();
    }
    if let Some(time) = time {
        event = event.with_time(time).unwrap();
    }
    for (name, value) in extensions {
        event = event.with_extension(&name, value).unwrap();
    }
    match data {
        Some((content_type, data)) => event.with_data(content_type, data).unwrap(),
        None => event,
    }
}

/// JSON that is nearly an event: its members have all kinds of values.
fn nearly_events() -> impl Strategy<Value = String> {
    let values = prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        prop::sample::select(vec![
            "null",
            "true",
            "{}",
            "[1]",
            "\"1.0\"",
            "\"2026-11-21T10:00:00Z\"",
            "\"\\ud800\"",
            "\"MQ\"",
            "\"text/plain\""
        ])
        .prop_map(str::to_owned),
    ];
    let names = prop::sample::select(vec![
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "subject",
        "data",
        "data_base64",
        "datacontenttype",
        "dataschema",
        "partitionkey",
        "traceparent",
        "x",
        "Bad",
    ]);
    prop::collection::vec((names, values), 0..12).prop_map(|members| {
        let members: Vec<String> = members
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"{}{}}}",
            if members.is_empty() { "" } else { "," },
            members.join(",")
        )
    })
}

/// Bindings with headers of text do not say which text was a number.
fn as_text(event: CloudEvent) -> CloudEvent {
    let names: Vec<String> = event
        .extensions()
        .map(|(name, _)| name.to_owned())
        .collect();
    names.into_iter().fold(event, |event, name| {
        let text = event.extension(&name).map(ToString::to_string);
        event
            .with_extension(&name, text.unwrap_or_default())
            .unwrap()
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = CloudEvent::from_json(&bytes);
        let _ = CloudEvent::from_json_batch(&bytes);
    }

    #[test]
    fn any_message_of_http_is_read_or_refused(
        headers in prop::collection::vec(("(ce|Ce|CE)-(specversion|id|source|type|time|x)|content-type", any::<Vec<u8>>()), 0..8),
        body: Vec<u8>,
    ) {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let _ = http::read_all(headers, body);
    }

    #[test]
    fn any_record_of_kafka_is_read_or_refused(
        headers in prop::collection::vec(("ce_(specversion|id|source|type|time|x)|content-type", any::<Option<Vec<u8>>>()), 0..8),
        value: Option<Vec<u8>>,
    ) {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let _ = kafka::read(headers, value.map(Bytes::from));
    }

    #[test]
    fn any_value_of_amqp_is_read_or_refused(long: i64, timestamp: i64, bytes: Vec<u8>, text: String) {
        let required = [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")];
        let values = [
            amqp::Value::Long(long),
            amqp::Value::Timestamp(timestamp),
            amqp::Value::Binary(bytes.into()),
            amqp::Value::String(text),
        ];
        for (value, name) in values.iter().flat_map(|value| [(value, "x"), (value, "time"), (value, "subject")]) {
            let name = format!("cloudEvents:{name}");
            let required = required.map(|(name, value)| (format!("cloudEvents:{name}"), amqp::Value::String(value.to_owned())));
            let properties = required.iter().map(|(name, value)| (name.as_str(), value));
            let _ = amqp::read(None, properties.chain([(name.as_str(), value)]), None);
        }
    }

    #[test]
    fn events_survive_a_batch(events in prop::collection::vec(events(), 0..3)) {
        let read = CloudEvent::from_json_batch(&CloudEvent::to_json_batch(&events)).unwrap();
        prop_assert_eq!(read.into_iter().collect::<Result<Vec<_>, _>>(), Ok(events));
    }

    #[test]
    fn events_survive_http(event in events()) {
        let message = http::to_binary(&event).unwrap();
        let headers = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let read = http::read(headers, message.body.clone().unwrap_or_default());
        prop_assert_eq!(read, Ok(as_text(event)));
    }

    #[test]
    fn events_survive_kafka(event in events()) {
        let record = kafka::to_binary(&event).unwrap();
        prop_assert_eq!(record.key.as_deref(), event.key().map(str::as_bytes));
        let headers = record.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_bytes())));
        let read = kafka::read(headers, record.value.clone());
        prop_assert_eq!(read, Ok(as_text(event)));
    }

    #[test]
    fn events_survive_amqp(event in events()) {
        let message = amqp::to_binary(&event).unwrap();
        let properties = message.application_properties.iter().map(|(name, value)| (name.as_str(), value));
        let read = amqp::read(message.content_type.as_deref(), properties, message.body.clone());
        prop_assert_eq!(read, Ok(event));
    }

    #[test]
    fn what_was_read_once_is_read_again_as_the_same(json in nearly_events()) {
        if let Ok(event) = CloudEvent::from_json(json.as_bytes()) {
            prop_assert_eq!(CloudEvent::from_json(&event.to_json()), Ok(event));
        }
    }

    #[test]
    fn any_headers_are_read_or_refused(
        headers: Vec<(String, String)>,
        named in prop::collection::vec(("ce_(specversion|id|source|type|time|[a-z]{1,4})", ".{0,8}|1\\.0"), 0..8),
        content_type: Option<String>,
        data: Option<Vec<u8>>,
    ) {
        let headers = headers.iter().chain(&named).map(|(name, value)| (name.as_str(), value.as_str()));
        let _ = from_headers(&["ce_", ""], headers, content_type.as_deref(), data.map(Bytes::from));
    }

    #[test]
    fn events_survive_json(event in events()) {
        prop_assert_eq!(CloudEvent::from_json(&event.to_json()), Ok(event));
    }

    #[test]
    fn events_survive_headers(event in events()) {
        let headers = to_headers(&event, "ce_");
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let read = from_headers(&["ce_"], headers, event.data_content_type(), event.data().cloned()).unwrap();
        prop_assert_eq!(read, as_text(event));
    }
}
