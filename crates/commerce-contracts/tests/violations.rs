//! What a violation says: where, what was expected and what kind of value was there, and never the value.
#![cfg(all(feature = "derive", feature = "validation"))]

use commerce_contracts::Event;
use commerce_contracts::avro::AvroSchema;
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "test.thing.happened", version = 1, topic = "test", key = "id")]
#[serde(deny_unknown_fields)]
struct Happened {
    #[schemars(length(min = 2, max = 5))]
    id: String,
    #[schemars(range(min = 1, max = 9))]
    count: i64,
    #[schemars(regex(pattern = "^[a-z]+$"))]
    word: Option<String>,
    at: Option<chrono::DateTime<chrono::Utc>>,
    #[schemars(length(min = 1))]
    parts: Vec<Part>,
    color: Option<Color>,
    size: Size,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Part {
    weight: f64,
    inner: Option<Box<Label>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Label {
    text: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(rename_all = "snake_case")]
enum Color {
    Red,
    DarkBlue,
}

/// Documented variants have another form in the schema.
#[derive(Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(rename_all = "snake_case")]
enum Size {
    /// Not large.
    Small,
    /// Not small.
    Large,
}

fn good() -> Value {
    json!({
        "id": "A-1", "count": 1, "word": "abc", "at": "2026-01-31T12:00:00Z",
        "parts": [{"weight": 1.5, "inner": {"text": "x"}}], "color": "red", "size": "small",
    })
}

/// What is said about the good data with `value` at `pointer`.
fn said(pointer: &str, value: Value) -> Vec<String> {
    let mut data = good();
    *data.pointer_mut(pointer).unwrap() = value;
    let violations = Happened::contract().validate(&data).unwrap_err();
    violations.iter().map(ToString::to_string).collect()
}

#[test]
fn each_rule_says_what_it_expects_and_what_kind_of_value_is_there() {
    assert!(Happened::contract().validate(&good()).is_ok());
    for (pointer, value, expected) in [
        (
            "/id",
            json!("secret"),
            "/id: expected a string of at most 5 characters, found a string of 6 characters",
        ),
        (
            "/id",
            json!("s"),
            "/id: expected a string of at least 2 characters, found a string of 1 character",
        ),
        ("/id", json!(null), "/id: expected a string, found null"),
        (
            "/count",
            json!(77_777),
            "/count: expected a number that is 9 or less, found an integer",
        ),
        (
            "/count",
            json!(0.5),
            "/count: expected an integer, found a number",
        ),
        (
            "/word",
            json!("SECRET"),
            "/word: expected a string that matches ^[a-z]+$, found a string of 6 characters",
        ),
        (
            "/word",
            json!({"secret": 1}),
            "/word: expected null or a string, found an object",
        ),
        (
            "/at",
            json!("secret"),
            "/at: expected a string of the format date-time, found a string of 6 characters",
        ),
        (
            "/parts",
            json!([]),
            "/parts: expected an array of at least 1 item, found an array of 0 items",
        ),
        (
            "/parts",
            json!(true),
            "/parts: expected an array, found a boolean",
        ),
        (
            "/parts/0/weight",
            json!("secret"),
            "/parts/0/weight: expected a number, found a string of 6 characters",
        ),
        // What may be null is wrong where it is wrong, not as a whole.
        (
            "/parts/0/inner/text",
            json!(["secret"]),
            "/parts/0/inner/text: expected a string, found an array of 1 item",
        ),
        (
            "/parts/0/inner",
            json!({}),
            "/parts/0/inner/text: expected a value, which is required, found nothing",
        ),
        (
            "/parts/0/inner",
            json!("secret"),
            "/parts/0/inner: expected an object or null, found a string of 6 characters",
        ),
        (
            "/color",
            json!("secret"),
            "/color: expected \"red\" or \"dark_blue\", found a string of 6 characters",
        ),
        (
            "/size",
            json!("secret"),
            "/size: expected \"small\" or \"large\", found a string of 6 characters",
        ),
        (
            "/size",
            json!(7_654_321),
            "/size: expected \"small\" or \"large\", found an integer",
        ),
    ] {
        let said = said(pointer, value);
        assert!(
            said.iter().any(|line| line == expected),
            "{expected}\n{said:#?}"
        );
        assert!(
            said.iter()
                .all(|line| !line.to_lowercase().contains("secret")
                    && !line.contains("777")
                    && !line.contains("765")),
            "{said:?}"
        );
    }
}

#[test]
fn unknown_properties_are_counted_and_not_named() {
    let mut data = good();
    data["secret"] = json!("secret");
    let said = |data: &Value| {
        let violations = Happened::contract().validate(data).unwrap_err();
        violations.to_string()
    };
    let expected = "the data: expected no properties but those of the contract, found";
    assert_eq!(said(&data), format!("{expected} 1 other property"));
    data["111.444.777-35"] = json!(1);
    assert_eq!(said(&data), format!("{expected} 2 other properties"));
}

/// Maps, whose keys are the sender's; names that must have a form; and schemas of every kind of rule.
#[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "test.map.made", version = 1, topic = "test", key = "id")]
struct Made {
    id: String,
    #[schemars(extend("propertyNames" = {"pattern": "^[0-9]{3}$"}, "maxProperties" = 2))]
    by_name: std::collections::BTreeMap<String, Label>,
    #[schemars(extend(
        "oneOf" = [{"const": "red"}, {"enum": ["blue"]}, {"type": "object", "unevaluatedProperties": false}],
        "not" = {"type": "object", "required": ["kind"]}, "contains" = {"minimum": 7}, "uniqueItems" = true,
        "dependentRequired" = {"kind": ["text"]}, "contentEncoding" = "base64", "patternProperties" = {"^x": {"type": "null"}},
        "if" = {"type": "array"}, "then" = {"prefixItems": [{"type": "null"}], "unevaluatedItems": false},
    ))]
    any: Anything,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema, JsonSchema)]
#[serde(transparent)]
struct Anything {
    #[schemars(schema_with = "anything")]
    text: String,
}

fn anything(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    true.into()
}

#[test]
fn the_key_of_a_map_is_a_star() {
    let data =
        json!({"id": "a", "any": "red", "by_name": {"111": {"text": 1}, "222": {"text": 2}}});
    let violations = Made::contract().validate(&data).unwrap_err();
    let places: Vec<&str> = violations.iter().map(|one| one.pointer.as_str()).collect();
    assert_eq!(places, ["/by_name/*/text"], "{violations}");
    let data = json!({"id": "a", "any": "red", "by_name": {"11144477735": {"text": "a"}}});
    let violations = Made::contract().validate(&data).unwrap_err();
    assert_eq!(
        violations.to_string(),
        "/by_name: expected properties whose name is a string that matches ^[0-9]{3}$, found a name that is a string of 11 characters"
    );
}

/// A name or a text that nobody may read: it holds the secret in one of its writings.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("5ecret".to_owned()),
        1 => Just("5ecret/~5ecret".to_owned()),
        1 => Just("5ECRET".to_owned()),
        1 => ".{0,9}".prop_map(|text| format!("{text}5ecret{text}")),
    ]
}

/// The secret as a number.
const NUMBER: u64 = 11_144_477_735;

fn document() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        Just(json!(NUMBER)),
        Just(json!(-0.111_444_777_35)),
        Just(json!("red")),
        secret().prop_map(Value::from),
    ];
    let name = prop_oneof![
        2 => secret(),
        1 => Just(NUMBER.to_string()),
        3 => prop::sample::select(vec![
            "id", "by_name", "any", "text", "kind", "count", "word", "at", "parts", "color", "size", "weight", "inner",
        ]).prop_map(str::to_owned),
    ];
    scalar.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The good data of one of the contracts, with something else in some places.
fn nearly_good() -> impl Strategy<Value = Value> {
    let made = json!({"id": "a", "any": ["red"], "by_name": {"111": {"text": "x"}}});
    let base = prop_oneof![Just(good()), Just(made)];
    let place = prop::sample::select(vec![
        "/id",
        "/by_name",
        "/by_name/111",
        "/by_name/111/text",
        "/any",
        "/any/0",
        "/parts",
        "/parts/0",
        "/parts/0/inner",
        "/size",
        "/color",
        "/at",
        "/count",
        "/word",
    ]);
    (base, prop::collection::vec((place, document()), 1..4)).prop_map(|(mut data, edits)| {
        for (place, value) in edits {
            if let Some(place) = data.pointer_mut(place) {
                *place = value;
            }
        }
        data
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_of_the_data_is_in_what_is_said_about_it(data in prop_oneof![document(), nearly_good()]) {
        for contract in [Happened::contract(), Made::contract()] {
            for result in [contract.validate(&data), contract.check(&data), contract.validate_on_write(&data)] {
                let Err(violations) = result else { continue };
                let mut said = format!("{violations} {violations:?}");
                for one in &violations {
                    said += &[&one.to_string(), &one.pointer, &one.expected, &one.found].map(String::as_str).join(" ");
                }
                let said = said.to_lowercase();
                prop_assert!(!said.contains("5ecret") && !said.contains("1114447"), "{}", said);
            }
        }
    }
}

#[test]
fn parts_of_a_violation_can_be_read_by_programs() {
    let mut data = good();
    data.as_object_mut().unwrap().remove("count");
    let violations = Happened::contract().validate(&data).unwrap_err();
    let violation = violations.iter().next().unwrap();
    assert_eq!(
        (&*violation.pointer, &*violation.expected, &*violation.found),
        ("/count", "a value, which is required", "nothing")
    );
}
