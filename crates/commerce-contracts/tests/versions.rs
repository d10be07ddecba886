//! Versions: old events are read as new ones, each checked against its own contract, and what cannot be read says why.
#![cfg(all(feature = "derive", feature = "validation"))]

use commerce_contracts::avro::{Schema, WriterSchemas};
use commerce_contracts::{CloudEvent, DecodeError, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The first version counted in a text, and allowed no more than nine.
#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(
    name = "orders.order.placed",
    version = 1,
    topic = "orders",
    key = "order_id"
)]
struct OrderPlacedV1 {
    order_id: String,
    #[schemars(regex(pattern = r"^[0-9]$"))]
    quantity: String,
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(
    name = "orders.order.placed",
    version = 2,
    topic = "orders",
    key = "order_id",
    upcasts = OrderPlacedV1
)]
#[serde(deny_unknown_fields)]
struct OrderPlacedV2 {
    order_id: String,
    #[schemars(range(min = 1))]
    quantity: u32,
}

/// "0" was allowed once.
#[derive(Debug, thiserror::Error)]
#[error("an order has a quantity of 1 at least")]
struct NothingOrdered;

impl TryFrom<OrderPlacedV1> for OrderPlacedV2 {
    type Error = NothingOrdered;

    fn try_from(old: OrderPlacedV1) -> Result<Self, NothingOrdered> {
        match old.quantity.parse() {
            Ok(quantity) if quantity > 0 => Ok(Self {
                order_id: old.order_id,
                quantity,
            }),
            _ => Err(NothingOrdered),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(
    name = "orders.order.placed",
    version = 3,
    topic = "orders.placed",
    key = "id",
    upcasts = self::OrderPlacedV2
)]
struct OrderPlaced {
    id: String,
    lines: Vec<u32>,
}

impl From<OrderPlacedV2> for OrderPlaced {
    fn from(old: OrderPlacedV2) -> Self {
        Self {
            id: old.order_id,
            lines: vec![old.quantity],
        }
    }
}

fn stored(version: u32, data: &Value) -> CloudEvent {
    CloudEvent::new("/orders", format!("orders.order.placed.v{version}"))
        .and_then(|event| event.with_data("application/json", data.to_string()))
        .unwrap()
}

#[test]
fn every_version_of_the_chain_is_read_as_the_newest() {
    let first = OrderPlacedV1 {
        order_id: "A-1".into(),
        quantity: "7".into(),
    };
    let second = OrderPlacedV2 {
        order_id: "A-1".into(),
        quantity: 7,
    };
    let third = OrderPlaced {
        id: "A-1".into(),
        lines: vec![7],
    };
    for event in [
        first.event().unwrap(),
        second.event().unwrap(),
        third.event().unwrap(),
    ] {
        let travelled = CloudEvent::from_json(&event.to_json()).unwrap();
        assert_eq!(
            travelled.decode::<OrderPlaced>().as_ref(),
            Ok(&third),
            "{}",
            event.event_type()
        );
    }
    assert_eq!(
        first.event().unwrap().decode::<OrderPlacedV2>(),
        Ok(second.clone())
    );
    assert_eq!(first.event().unwrap().decode::<OrderPlacedV1>(), Ok(first));
}

#[test]
fn the_contract_lists_what_is_read_newest_first() {
    let contract = OrderPlaced::contract();
    let versions: Vec<_> = contract
        .versions()
        .map(|version| (version.version(), version.event_type(), version.topic()))
        .collect();
    assert_eq!(
        versions,
        [
            (3, "orders.order.placed.v3", "orders.placed"),
            (2, "orders.order.placed.v2", "orders"),
            (1, "orders.order.placed.v1", "orders"),
        ]
    );
    assert!(std::ptr::eq(
        contract.previous().unwrap(),
        OrderPlacedV2::contract()
    ));
    assert!(OrderPlacedV1::contract().previous().is_none());
    assert!(contract.accepts("orders.order.placed.v1"));
    assert!(!contract.accepts("orders.order.placed.v4"));
    assert!(!OrderPlacedV1::contract().accepts("orders.order.placed.v2"));
    assert!(std::ptr::eq(
        contract.version_of("orders.order.placed.v1").unwrap(),
        OrderPlacedV1::contract()
    ));
}

#[test]
fn each_version_is_held_to_its_own_contract() {
    // The same field, right in one version and wrong in the other.
    let as_text = json!({ "order_id": "A-1", "quantity": "7" });
    let as_number = json!({ "order_id": "A-1", "quantity": 7 });
    assert!(stored(1, &as_text).decode::<OrderPlaced>().is_ok());
    assert!(stored(2, &as_number).decode::<OrderPlaced>().is_ok());
    for (version, data) in [(1, &as_number), (2, &as_text)] {
        let Err(DecodeError::Invalid(violations)) = stored(version, data).decode::<OrderPlaced>()
        else {
            panic!("version {version} was accepted");
        };
        let places: Vec<_> = violations.iter().map(|found| &found.pointer).collect();
        assert_eq!(places, ["/quantity"], "version {version}");
    }
    // Version 1 allows one digit; that the type behind it could hold two does not help.
    let long = stored(1, &json!({ "order_id": "A-1", "quantity": "12" }));
    assert!(matches!(
        long.decode::<OrderPlaced>(),
        Err(DecodeError::Invalid(_))
    ));
}

#[test]
fn what_an_upcast_refuses_is_told_with_its_step() {
    let event = stored(1, &json!({ "order_id": "A-1", "quantity": "0" }));
    let error = event.decode::<OrderPlaced>().unwrap_err();
    assert_eq!(
        error,
        DecodeError::Upcast {
            from: "orders.order.placed.v1",
            to: "orders.order.placed.v2",
            detail: "an order has a quantity of 1 at least".into(),
        }
    );
    assert!(event.decode::<OrderPlacedV1>().is_ok());
}

#[test]
fn another_version_and_another_event_are_different_outcomes() {
    let decode = |event_type: &str| {
        CloudEvent::new("/orders", event_type)
            .unwrap()
            .decode::<OrderPlaced>()
            .unwrap_err()
    };
    let newer = decode("orders.order.placed.v4");
    assert_eq!(
        newer,
        DecodeError::UnknownVersion {
            name: "orders.order.placed",
            found: 4,
            oldest: 1,
            newest: 3
        }
    );
    assert_eq!(
        newer.to_string(),
        "the event is version 4 of orders.order.placed, and version 3 is the newest known here: deploy a consumer that knows version 4, \
         then deliver the event again"
    );
    for odd in [
        "orders.order.placed",
        "orders.order.placed.v0",
        "orders.order.placed.v03",
        "orders.order.placed.V3",
    ] {
        assert_eq!(
            decode(odd),
            DecodeError::MalformedVersion {
                name: "orders.order.placed",
                found: odd.into()
            }
        );
    }
    for other in ["orders.order.paid.v3", "orders.order.placed.eu.v3"] {
        assert_eq!(
            decode(other),
            DecodeError::WrongType {
                expected: "orders.order.placed.v3",
                found: other.into()
            }
        );
    }
}

#[test]
fn an_older_version_that_nothing_upcasts_says_how_to_read_it() {
    #[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
    #[event(
        name = "orders.order.placed",
        version = 3,
        topic = "orders",
        key = "id"
    )]
    struct OnlyTheThird {
        id: String,
    }
    let event = stored(1, &json!({ "order_id": "A-1", "quantity": "7" }));
    let error = event.decode::<OnlyTheThird>().unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::UnknownVersion {
                found: 1,
                oldest: 3,
                newest: 3,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "the event is version 1 of orders.order.placed, and version 3 is the oldest read here: give the type of version 3 `upcasts = …`, the \
         type of version 2"
    );
}

#[test]
fn fields_of_a_later_producer_are_passed_over_where_the_type_does_not_forbid_it() {
    let open = stored(
        1,
        &json!({ "order_id": "A-1", "quantity": "7", "gift": true }),
    );
    assert_eq!(
        open.decode::<OrderPlaced>(),
        Ok(OrderPlaced {
            id: "A-1".into(),
            lines: vec![7]
        })
    );
    let closed = stored(
        2,
        &json!({ "order_id": "A-1", "quantity": 7, "gift": true }),
    );
    let Err(DecodeError::Invalid(violations)) = closed.decode::<OrderPlaced>() else {
        panic!("it was accepted");
    };
    assert!(
        violations.to_string().contains("1 other property"),
        "{violations}"
    );
}

#[test]
fn a_dataschema_that_names_another_contract_is_refused_and_a_foreign_one_is_not() {
    let data = json!({ "order_id": "A-1", "quantity": 7 });
    let with = |schema: &str| stored(2, &data).with_data_schema(schema).unwrap();
    for fine in [
        "urn:contract:orders.order.placed:v2",
        "https://registry.example/schemas/ids/17",
        "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    ] {
        assert!(with(fine).decode::<OrderPlaced>().is_ok(), "{fine}");
    }
    for contradicting in [
        "urn:contract:orders.order.placed:v1",
        "urn:contract:orders.order.placed:v3",
        "urn:contract:orders.order.paid:v2",
    ] {
        let error = with(contradicting).decode::<OrderPlaced>().unwrap_err();
        assert_eq!(
            error,
            DecodeError::OtherSchema {
                event_type: "orders.order.placed.v2".into(),
                data_schema: contradicting.into()
            }
        );
    }
}

/// Version 1 as a later build of its producer writes it: with a field more.
mod later {
    use super::{Deserialize, Event, JsonSchema, Serialize};

    #[derive(Event, Serialize, Deserialize, JsonSchema)]
    #[event(
        name = "orders.order.placed",
        version = 1,
        topic = "orders",
        key = "order_id"
    )]
    pub(super) struct OrderPlacedV1 {
        pub(super) coupon: Option<String>,
        pub(super) order_id: String,
        pub(super) quantity: String,
    }
}

#[test]
fn avro_of_known_writers_is_read_at_every_version() {
    let third = OrderPlaced {
        id: "A-1".into(),
        lines: vec![7],
    };
    // What the types of older versions wrote is read without more.
    let first = OrderPlacedV1 {
        order_id: "A-1".into(),
        quantity: "7".into(),
    };
    let stored = first.event_avro().unwrap();
    assert_eq!(stored.decode::<OrderPlaced>().as_ref(), Ok(&third));

    let newer = later::OrderPlacedV1 {
        coupon: Some("MAY".into()),
        order_id: "A-1".into(),
        quantity: "7".into(),
    };
    let event = newer.event_avro().unwrap();
    let Err(error @ DecodeError::OtherAvroSchema { .. }) = event.decode::<OrderPlaced>() else {
        panic!("another schema was taken for the own one");
    };
    assert!(error.to_string().contains("WriterSchemas"), "{error}");

    // As the producer has committed it.
    let schema = later::OrderPlacedV1::contract().avro_schema().unwrap();
    let writers = WriterSchemas::parse([schema.to_string()]).unwrap();
    assert_eq!((writers.len(), writers.is_empty()), (1, false));
    for _ in 0..2 {
        assert_eq!(
            event.decode_with::<OrderPlaced>(&writers).as_ref(),
            Ok(&third)
        );
        assert_eq!(
            event.decode_with::<OrderPlacedV1>(&writers).as_ref(),
            Ok(&first)
        );
    }
    // The own schemas are known beside them, and JSON needs none.
    assert_eq!(
        stored.decode_with::<OrderPlaced>(&writers).as_ref(),
        Ok(&third)
    );
    assert_eq!(newer.event().unwrap().decode::<OrderPlaced>(), Ok(third));
    // Data that breaks the contract is refused whoever wrote it.
    let wrong = json!({"coupon": null, "order_id": "A-1", "quantity": "12"});
    let wrong = event
        .clone()
        .with_data("application/avro", schema.encode(&wrong).unwrap())
        .unwrap();
    assert!(matches!(
        wrong.decode_with::<OrderPlaced>(&writers),
        Err(DecodeError::Invalid(_))
    ));
    // One that no data of fits is told where it is needed.
    let text: Schema = r#"{"type": "record", "name": "OrderPlacedV1", "fields": []}"#
        .parse()
        .unwrap();
    let event = event
        .with_extension("avrofingerprint", format!("{:016x}", text.fingerprint()))
        .unwrap();
    let writers = writers.with(text);
    assert!(matches!(
        event.decode_with::<OrderPlaced>(&writers),
        Err(DecodeError::Malformed { .. })
    ));
}
