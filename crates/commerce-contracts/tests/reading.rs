//! What is read beyond what is written: other names, unknown symbols; and where a type refuses what its schema lets through.
#![cfg(all(feature = "derive", feature = "validation", feature = "vocabulary"))]

use commerce_contracts::avro::AvroSchema;
use commerce_contracts::commerce::Money;
use commerce_contracts::{CloudEvent, DecodeError, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(
    name = "orders.order.placed",
    version = 1,
    topic = "orders",
    key = "order.id"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OrderPlaced {
    #[serde(alias = "the_order", alias = "placed")]
    order: OrderRef,
    #[serde(alias = "paidBy", default)]
    payer: Option<String>,
    channel: Channel,
    sizes: Vec<Size>,
    #[serde(default)]
    state: Option<State>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(rename_all = "camelCase")]
struct OrderRef {
    #[serde(rename = "orderId")]
    id: String,
    #[serde(default)]
    total: Option<Money>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Channel {
    Web,
    #[serde(other)]
    Unknown,
}

/// Documented variants have another form in the schema.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
enum Size {
    /// Not large.
    #[serde(alias = "Tiny")]
    Small,
    /// Not small.
    Large,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
enum State {
    /// It can change.
    Open,
    /// Another one.
    #[serde(other)]
    Other,
}

fn data() -> Value {
    json!({"order": {"orderId": "A-1"}, "payer": null, "channel": "WEB", "sizes": ["Small"], "state": "Open"})
}

fn read(data: &Value) -> Result<OrderPlaced, DecodeError> {
    CloudEvent::new("/orders", OrderPlaced::TYPE)
        .unwrap()
        .with_data("application/json", data.to_string())
        .unwrap()
        .decode()
}

#[test]
fn an_unknown_symbol_is_read_as_the_one_that_stands_for_it() {
    let mut later = data();
    later["channel"] = json!("APP");
    later["state"] = json!("Parked");
    let placed = read(&later).unwrap();
    assert_eq!(
        (placed.channel, placed.state),
        (Channel::Unknown, Some(State::Other))
    );
    // It is still a text.
    later["channel"] = json!(7);
    let error = read(&later).unwrap_err().to_string();
    assert!(
        error.contains("/channel: expected a string, found an integer"),
        "{error}"
    );
    // What is written stays a closed list.
    assert!(OrderPlaced::contract().validate_on_write(&later).is_err());
    later["channel"] = json!("APP");
    assert!(OrderPlaced::contract().validate_on_write(&later).is_err());
}

#[test]
fn a_field_is_read_under_each_of_its_names_and_under_one_of_them() {
    for (name, alias) in [
        ("order", "the_order"),
        ("order", "placed"),
        ("payer", "paidBy"),
    ] {
        let mut older = data();
        let value = older.as_object_mut().unwrap().remove(name).unwrap();
        older[alias] = value;
        assert_eq!(read(&older).unwrap(), read(&data()).unwrap(), "{alias}");
        assert!(
            OrderPlaced::contract().validate_on_write(&older).is_err(),
            "{alias}"
        );
        // serde takes one of the names only, and the schema says so.
        let mut both = data();
        both[alias] = both[name].clone();
        assert!(
            matches!(read(&both), Err(DecodeError::Invalid(_))),
            "{alias}"
        );
    }
    let mut none = data();
    none.as_object_mut().unwrap().remove("order");
    let error = read(&none).unwrap_err().to_string();
    assert!(
        error.contains("/order: expected a value, which is required, found nothing"),
        "{error}"
    );
    none.as_object_mut().unwrap().remove("payer");
    none["order"] = data()["order"].clone();
    assert!(read(&none).is_ok());
}

#[test]
fn a_symbol_is_read_under_its_older_name() {
    let mut older = data();
    older["sizes"] = json!(["Tiny", "Large"]);
    assert_eq!(read(&older).unwrap().sizes, [Size::Small, Size::Large]);
    older["sizes"] = json!(["Huge"]);
    assert!(matches!(read(&older), Err(DecodeError::Invalid(_))));
    assert!(OrderPlaced::contract().validate_on_write(&older).is_err());
}

#[test]
fn what_the_type_refuses_is_told_with_its_place() {
    let mut strange = data();
    strange["order"]["total"] = json!({"amount_minor": 1, "currency": "ZZZ"});
    let Err(DecodeError::Invalid(violations)) = read(&strange) else {
        panic!("it was accepted");
    };
    assert_eq!(
        violations.to_string(),
        "/order/total/currency: expected a value that its type takes, found a string of 3 characters"
    );
    assert_eq!(violations.len(), 1);
    // Bounds of 64 bits are the type's and not the schema's.
    strange["order"]["total"] = json!({"amount_minor": u64::MAX, "currency": "BRL"});
    let error = read(&strange).unwrap_err().to_string();
    assert!(
        error.contains("/order/total/amount_minor: expected i64, found an integer"),
        "{error}"
    );
    assert!(!error.contains("18446744073709551615"), "{error}");
}

/// A rename in Rust is none in the contract.
mod renamed {
    use super::{Deserialize, Event, JsonSchema, Serialize};
    #[derive(Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
    #[event(
        name = "tests.key.renamed",
        version = 1,
        topic = "tests",
        key = "in_rust.id"
    )]
    pub(super) struct Renamed {
        #[serde(rename = "orderId")]
        pub(super) in_rust: SeenThrough,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, super::AvroSchema)]
    #[serde(transparent)]
    pub(super) struct SeenThrough {
        pub(super) id: String,
    }
}

#[test]
fn the_key_is_named_as_it_travels() {
    let placed = read(&data()).unwrap();
    assert_eq!(placed.key(), "A-1");
    assert_eq!(OrderPlaced::contract().key(), "order.orderId");
    assert_eq!(renamed::Renamed::contract().key(), "orderId");
}
