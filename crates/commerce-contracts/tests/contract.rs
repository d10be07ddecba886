//! Contracts: what a typed event becomes, and how data that breaks its promise is refused.
#![cfg(all(feature = "derive", feature = "validation"))]

use commerce_contracts::avro::{AvroSchema, Schema};
use commerce_contracts::{CloudEvent, DecodeError, EncodeError, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(
    name = "orders.order.placed",
    version = 3,
    topic = "orders",
    key = "order_id"
)]
struct OrderPlaced {
    order_id: String,
    #[schemars(range(min = 1))]
    quantity: u32,
    #[serde(default)]
    channel: Channel,
    note: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(rename_all = "snake_case")]
enum Channel {
    #[default]
    Web,
    Store,
}

fn placed() -> OrderPlaced {
    OrderPlaced {
        order_id: "A-1".into(),
        quantity: 2,
        channel: Channel::Store,
        note: None,
    }
}

fn with(data: &Value) -> CloudEvent {
    placed()
        .event()
        .unwrap()
        .with_data("application/json", data.to_string())
        .unwrap()
}

#[test]
fn an_event_gets_its_envelope_from_its_contract() {
    let before = chrono::Utc::now();
    let event = placed().event().unwrap();
    assert_eq!(event.event_type(), "orders.order.placed.v3");
    assert_eq!(
        (event.source(), event.subject(), event.key()),
        ("/orders", Some("A-1"), Some("A-1"))
    );
    assert_eq!(event.data_content_type(), Some("application/json"));
    assert_eq!(
        event.data_schema(),
        Some("urn:contract:orders.order.placed:v3")
    );
    assert!(
        event
            .time()
            .is_some_and(|time| time >= before && time <= chrono::Utc::now())
    );
    assert_eq!(
        uuid::Uuid::parse_str(event.id()).unwrap().get_version_num(),
        7
    );
    assert_ne!(event.id(), placed().event().unwrap().id());
    assert_eq!(event.decode::<OrderPlaced>(), Ok(placed()));
}

#[test]
fn a_key_that_cannot_be_one_is_refused() {
    for key in ["", "a\nb"] {
        assert!(
            OrderPlaced {
                order_id: key.into(),
                ..placed()
            }
            .event()
            .is_err(),
            "{key:?}"
        );
    }
}

#[test]
fn the_contract_is_made_once_and_keeps_reading_and_writing_apart() {
    let contract = OrderPlaced::contract();
    assert!(std::ptr::eq(contract, OrderPlaced::contract()));
    assert_eq!(
        (
            contract.name(),
            contract.version(),
            contract.topic(),
            contract.key()
        ),
        ("orders.order.placed", 3, "orders", "order_id")
    );
    // Written always, and not required of others: a default fills it in.
    let required = |schema: &Value| {
        schema["required"]
            .as_array()
            .unwrap()
            .contains(&json!("channel"))
    };
    assert!(required(contract.schema_on_write()));
    assert!(!required(contract.schema_on_read()));
    let data = json!({ "order_id": "A-1", "quantity": 1 });
    assert!(contract.validate(&data).is_ok());
    assert!(contract.validate_on_write(&data).is_err());
    assert!(
        contract
            .validate_on_write(&serde_json::to_value(placed()).unwrap())
            .is_ok()
    );
}

#[test]
fn readers_are_open_to_fields_of_later_versions() {
    let data = json!({ "order_id": "A-1", "quantity": 2, "channel": "store", "gift": true });
    assert_eq!(with(&data).decode::<OrderPlaced>(), Ok(placed()));
}

/// Its names of before are no names that JSON Schema would know of by itself.
#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(
    name = "orders.order.remarked",
    version = 1,
    topic = "orders",
    key = "order_id"
)]
struct OrderRemarked {
    order_id: String,
    #[serde(alias = "note", alias = "word")]
    remark: String,
    by: Vec<Remarker>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Remarker {
    #[serde(default, alias = "nick")]
    name: Option<String>,
}

#[test]
fn a_field_is_read_by_its_earlier_names_but_not_by_two_at_once() {
    let remarked = OrderRemarked {
        order_id: "A-1".into(),
        remark: "late".into(),
        by: vec![Remarker {
            name: Some("Ana".into()),
        }],
    };
    let event = remarked.event().unwrap();
    let read = |data: Value| {
        let event = event
            .clone()
            .with_data("application/json", data.to_string());
        event.unwrap().decode::<OrderRemarked>()
    };
    for name in ["remark", "note", "word"] {
        for by in ["name", "nick"] {
            let data = json!({"order_id": "A-1", name: "late", "by": [{by: "Ana"}]});
            assert_eq!(read(data), Ok(remarked.clone()), "{name}, {by}");
        }
    }
    for data in [
        json!({"order_id": "A-1", "by": []}),
        json!({"order_id": "A-1", "remark": "late", "note": "late", "by": []}),
        json!({"order_id": "A-1", "note": "late", "word": "late", "by": []}),
        json!({"order_id": "A-1", "note": 7, "by": []}),
        json!({"order_id": "A-1", "note": "late", "by": [{"name": "Ana", "nick": "Ana"}]}),
    ] {
        // By the schema, so that whoever else reads knows it too.
        let refused = read(data.clone());
        assert!(
            matches!(refused, Err(DecodeError::Invalid(_))),
            "{data}: {refused:?}"
        );
    }
}

#[test]
fn every_violation_is_listed_with_its_place_and_without_its_value() {
    let data =
        json!({ "order_id": 123_456, "quantity": 0, "channel": "secret", "note": ["secret"] });
    let Err(DecodeError::Invalid(violations)) = with(&data).decode::<OrderPlaced>() else {
        panic!("it was accepted");
    };
    let mut pointers: Vec<&str> = violations
        .iter()
        .map(|violation| violation.pointer.as_str())
        .collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/channel", "/note", "/order_id", "/quantity"]);
    let shown = DecodeError::Invalid(violations).to_string();
    assert!(
        !shown.contains("secret") && !shown.contains("123456"),
        "{shown}"
    );
    assert!(
        shown.contains("/quantity: expected a number that is 1 or more, found an integer"),
        "{shown}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let Err(DecodeError::Invalid(violations)) = with(&json!({})).decode::<OrderPlaced>() else {
        panic!("it was accepted");
    };
    assert_eq!(violations.len(), 2);
    assert_eq!(
        violations.to_string(),
        "/order_id: expected a value, which is required, found nothing; /quantity: expected a value, which is required, found nothing"
    );
}

#[test]
fn other_events_and_other_data_are_told_apart() {
    let event = placed().event().unwrap();
    let other = CloudEvent::new("/orders", "orders.order.paid.v3").unwrap();
    assert_eq!(
        other.decode::<OrderPlaced>(),
        Err(DecodeError::WrongType {
            expected: "orders.order.placed.v3",
            found: "orders.order.paid.v3".into()
        })
    );
    let tombstone = CloudEvent::new("/orders", OrderPlaced::TYPE).unwrap();
    assert_eq!(tombstone.decode::<OrderPlaced>(), Err(DecodeError::NoData));
    let image = event.clone().with_data("image/png", "x").unwrap();
    assert_eq!(
        image.decode::<OrderPlaced>(),
        Err(DecodeError::OtherFormat {
            content_type: "image/png".into()
        })
    );
    for media_type in [
        "APPLICATION/JSON",
        "application/vnd.order+json; charset=utf-8",
    ] {
        let data = event.data().unwrap().clone();
        assert_eq!(
            event
                .clone()
                .with_data(media_type, data)
                .unwrap()
                .decode::<OrderPlaced>(),
            Ok(placed()),
            "{media_type}"
        );
    }
    let broken = event
        .with_data("application/json", r#"{"order_id":"#)
        .unwrap();
    assert!(matches!(
        broken.decode::<OrderPlaced>(),
        Err(DecodeError::Malformed { .. })
    ));
}

#[test]
fn whole_numbers_of_32_bits_have_their_bounds_in_the_schema() {
    let event = with(&json!({ "order_id": "A-1", "quantity": 5_000_000_000_u64 }));
    let Err(DecodeError::Invalid(violations)) = event.decode::<OrderPlaced>() else {
        panic!("it was accepted");
    };
    assert_eq!(
        violations.to_string(),
        "/quantity: expected a number that is 4294967295 or less, found an integer"
    );
}

#[test]
fn avro_keeps_the_same_promise_as_json() {
    let event = placed().event_avro().unwrap();
    assert_eq!(
        (event.event_type(), event.data_content_type(), event.key()),
        (OrderPlaced::TYPE, Some("application/avro"), Some("A-1"))
    );
    assert_eq!(
        event.data_schema(),
        Some(OrderPlaced::contract().data_schema())
    );
    assert_eq!(event.decode::<OrderPlaced>(), Ok(placed()));
    // Also in an envelope of JSON, and under the names that others have for the media type.
    let travelled = CloudEvent::from_json(&event.to_json()).unwrap();
    assert_eq!(travelled.decode::<OrderPlaced>(), Ok(placed()));
    let data = event.data().unwrap().clone();
    for media_type in ["avro/binary", "Application/Avro; charset=binary"] {
        let renamed = event.clone().with_data(media_type, data.clone()).unwrap();
        assert_eq!(
            renamed.decode::<OrderPlaced>(),
            Ok(placed()),
            "{media_type}"
        );
    }
    // Avro knows no ranges; the contract does.
    let none = OrderPlaced {
        quantity: 0,
        ..placed()
    };
    assert!(matches!(none.event_avro(), Err(EncodeError::Invalid(_))));
    let schema = OrderPlaced::contract().avro_schema().unwrap();
    let forged = event
        .clone()
        .with_data("application/avro", schema.encode(&none).unwrap())
        .unwrap();
    let refused = forged.decode::<OrderPlaced>();
    let Err(DecodeError::Invalid(violations)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(violations.iter().next().unwrap().pointer, "/quantity");
    // Another schema of the same version would read other values from the same bytes.
    let other = event
        .clone()
        .with_extension("avrofingerprint", "0123456789abcdef");
    assert!(matches!(
        other.unwrap().decode::<OrderPlaced>(),
        Err(DecodeError::OtherAvroSchema { found, .. }) if found == "0123456789abcdef"
    ));
    let cut = event
        .with_data("application/avro", data.slice(1..))
        .unwrap();
    assert!(matches!(
        cut.decode::<OrderPlaced>(),
        Err(DecodeError::Malformed { .. })
    ));
}

#[test]
fn avro_of_an_earlier_writer_is_read_through_its_schema() {
    let contract = OrderPlaced::contract();
    let before = Schema::from_json(&json!({"type": "record", "name": "OrderPlaced", "fields": [
        {"name": "quantity", "type": "int"}, {"name": "gone", "type": "string"}, {"name": "order_id", "type": "string"}]}))
    .unwrap();
    let decoder = contract.avro_decoder_for(&before).unwrap();
    let event = |order_id: &str, quantity: i32| {
        let value = json!({"order_id": order_id, "quantity": quantity, "gone": "x"});
        let data = before.encode(&value).unwrap();
        let event = CloudEvent::new("/orders", OrderPlaced::TYPE).unwrap();
        event.with_data("application/avro", data).unwrap()
    };
    let expected = OrderPlaced {
        channel: Channel::Web,
        ..placed()
    };
    assert_eq!(event("A-1", 2).decode_avro(&decoder), Ok(expected));
    assert!(matches!(
        event("A-1", 0).decode_avro::<OrderPlaced>(&decoder),
        Err(DecodeError::Invalid(_))
    ));
    let other = CloudEvent::new("/orders", "orders.order.placed.v2").unwrap();
    assert!(matches!(
        other.decode_avro::<OrderPlaced>(&decoder),
        Err(DecodeError::WrongType { .. })
    ));
    let text = Schema::parse("\"string\"").unwrap();
    assert!(matches!(
        contract.avro_decoder_for(&text),
        Err(DecodeError::Malformed { .. })
    ));
}
