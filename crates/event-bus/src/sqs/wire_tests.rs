//! Both ways between a message and what SQS carries.

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 256 * 1024;

fn topic() -> TopicName {
    TopicName::new("orders").unwrap()
}

fn event() -> CloudEvent {
    CloudEvent::new("/shop", "orders.order.placed.v1")
        .and_then(|event| event.with_key("order-17"))
        .unwrap()
}

fn message(event: CloudEvent) -> Message {
    Message::new(topic(), event)
}

fn xml_safe(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..))
}

/// The message as an SNS subscription without raw delivery hands it on.
fn enveloped(wire: &Wire) -> Wire {
    let attributes: Json = serde_json::from_str(&pack(&wire.attributes)).unwrap();
    let body = serde_json::json!({
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": "arn:aws:sns:eu-central-1:1:orders",
        "Message": wire.body,
        "MessageAttributes": attributes,
    });
    Wire {
        body: body.to_string(),
        attributes: BTreeMap::new(),
    }
}

#[test]
fn the_body_is_the_event_and_nothing_else_is_needed() {
    let sent = message(
        event()
            .with_data("application/json", r#"{"total": 990}"#)
            .unwrap(),
    );
    let wire = encode(&sent, LIMIT).unwrap();
    assert!(wire.attributes.is_empty());
    assert_eq!(
        CloudEvent::from_json(wire.body.as_bytes()).unwrap(),
        sent.event
    );
}

#[test]
fn no_data_and_empty_data_differ() {
    for sent in [
        event(),
        event().with_data("text/plain", "").unwrap(),
        event().with_data("application/octet-stream", "").unwrap(),
    ] {
        let sent = message(sent);
        let wire = encode(&sent, LIMIT).unwrap();
        let received = decode(&topic(), &wire, None).unwrap();
        assert_eq!(received.event.data(), sent.event.data());
    }
}

#[test]
fn data_that_base64_makes_too_large_travels_as_it_is() {
    let large = vec![0xfe; 200_000];
    let sent = message(
        event()
            .with_data("application/octet-stream", large)
            .unwrap(),
    );
    let wire = encode(&sent, LIMIT).unwrap();
    assert!(wire.attributes.contains_key(DATA) && wire.size() < LIMIT);
    assert_eq!(decode(&topic(), &wire, None), Ok(sent.clone()));
    assert_eq!(decode(&topic(), &enveloped(&wire), None), Ok(sent));
}

#[test]
fn what_is_too_large_is_refused_with_its_size() {
    let large = "x".repeat(LIMIT);
    let sent = message(event().with_data("text/plain", large).unwrap());
    let error = encode(&sent, LIMIT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Message);
    assert!(error.to_string().contains("max_message"), "{error}");
}

#[test]
fn one_attribute_more_always_has_room() {
    let attribute = |n: u8| (format!("a{n}"), Value::binary(vec![0xff, n]));
    let full = Wire {
        body: String::from_utf8(event().to_json()).unwrap(),
        attributes: (0..10).map(attribute).collect(),
    };
    let more = full.with(HISTORY, "{}".to_owned());
    assert!(more.attributes.len() <= 10);
    assert_eq!(more.text(HISTORY), Some("{}"));
    let received = decode(&topic(), &more.without(HISTORY), None).unwrap();
    assert_eq!(received.headers.len(), 10);
    assert_eq!(received.headers.get("a7").unwrap().as_ref(), [0xff, 7]);
}

#[test]
fn what_is_no_event_comes_back_as_it_arrived() {
    let wire = Wire {
        body: "this is no event {".to_owned(),
        attributes: BTreeMap::from([("colour".to_owned(), Value::text("red".to_owned()))]),
    };
    let kept = decode(&topic(), &wire, Some("order-17")).unwrap_err();
    assert_eq!(kept.payload.as_deref(), Some(wire.body.as_bytes()));
    assert_eq!(kept.key.as_deref(), Some("order-17".as_bytes()));
    assert_eq!(kept.headers, [("colour".to_owned(), Bytes::from("red"))]);

    let bytes = Value::binary(vec![0xff, 0]);
    let wire = Wire {
        attributes: BTreeMap::from([(DATA.to_owned(), bytes)]),
        ..wire
    };
    let kept = decode(&topic(), &wire, None).unwrap_err();
    assert_eq!(kept.payload.as_deref(), Some([0xff, 0].as_slice()));
}

#[test]
fn a_notification_that_is_broken_is_told_from_an_event() {
    let arn = r#""Type":"Notification","TopicArn":"arn:x""#;
    assert!(open_envelope(&format!("{{{arn}}}")).is_err());
    let odd = format!(
        r#"{{{arn},"Message":"m","MessageAttributes":{{"a":{{"Type":"Binary","Value":"%"}}}}}}"#
    );
    assert!(open_envelope(&odd).is_err());
    let event = format!(r#"{{"data":{{{arn}}}}}"#);
    assert_eq!(open_envelope(&event), Ok(None));
}

/// Whatever JSON can be, a few levels deep.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "\\PC{0,20}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let members = proptest::collection::btree_map("[a-zA-Z]{0,9}", inner.clone(), 0..4);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Json::from),
            members.prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn every_message_survives_raw_and_enveloped(
        data in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
        text in "[\\u{0}-\\u{10ffff}]{0,40}",
        kind in prop_oneof![Just("application/octet-stream"), Just("text/plain"), Just("application/json")],
        headers in proptest::collection::vec(("[a-b][a-z0-9.-]{0,9}", proptest::collection::vec(any::<u8>(), 0..9)), 0..4),
    ) {
        let json = serde_json::to_vec(&text).unwrap();
        for data in [data, Some(text.clone().into_bytes()), Some(json)] {
            let event = match data {
                Some(data) => event().with_data(kind, data).unwrap(),
                None => event(),
            };
            let mut sent = message(event);
            for (name, value) in &headers {
                sent = sent.with_header(name.clone(), value.clone()).unwrap();
            }
            let wire = encode(&sent, LIMIT).unwrap();
            prop_assert!(xml_safe(&wire.body));
            prop_assert_eq!(decode(&topic(), &wire, None), Ok(sent.clone()));
            prop_assert_eq!(decode(&topic(), &enveloped(&wire), None), Ok(sent));
        }
    }

    #[test]
    fn any_json_in_the_place_of_an_envelope_is_read_or_comes_back(
        message in json(),
        attributes in json(),
        name in prop_oneof![Just(HEADERS), Just(DATA), Just(PACKED), Just(HISTORY), Just(DUE), Just("other")],
        value in json(),
    ) {
        let attribute = serde_json::json!({name: {"Type": "Binary", "Value": value}});
        let texts = [value.to_string(), STANDARD.encode(value.to_string())];
        let texts = texts.map(|text| serde_json::json!({name: {"Type": "Binary.x", "Value": text}}));
        for attributes in [attributes, attribute].into_iter().chain(texts) {
            for message in [&message, &Json::from(message.to_string())] {
                let envelope = serde_json::json!({
                    "Type": "Notification",
                    "TopicArn": "arn:x",
                    "Message": message,
                    "MessageAttributes": attributes,
                });
                let wire = Wire { body: envelope.to_string(), attributes: BTreeMap::new() };
                if let Err(kept) = decode(&topic(), &wire, None) {
                    prop_assert_eq!(kept.payload.as_deref(), Some(wire.body.as_bytes()));
                }
            }
        }
    }

    #[test]
    fn a_message_cut_short_or_changed_is_an_event_or_comes_back(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let sent = message(event().with_data("application/json", "{\"a\": [1, \"ü\"]}").unwrap());
        let body = enveloped(&encode(&sent, LIMIT).unwrap()).body.into_bytes();
        let at = at.index(body.len());
        let mut changed = body.clone();
        changed[at] = byte;
        for body in [&body[..at], &changed] {
            let body = String::from_utf8_lossy(body).into_owned();
            let wire = Wire { body, attributes: BTreeMap::new() };
            if let Err(kept) = decode(&topic(), &wire, None) {
                prop_assert_eq!(kept.payload.as_deref(), Some(wire.body.as_bytes()));
            }
        }
    }

    #[test]
    fn any_text_is_an_event_or_comes_back(body in "\\PC{0,200}", value in proptest::collection::vec(any::<u8>(), 0..50)) {
        for name in [HEADERS, DATA, PACKED, "other"] {
            let wire = Wire {
                body: body.clone(),
                attributes: BTreeMap::from([(name.to_owned(), Value::binary(value.clone()))]),
            };
            drop(decode(&topic(), &wire, Some("group")));
            drop(open_envelope(&body));
        }
    }
}
