//! What a violation says: where, what was expected and what kind of value was there, and never the value.
#![cfg(all(feature = "derive", feature = "validation"))]

use commerce_contracts::Event;
use commerce_contracts::avro::AvroSchema;
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
fn unknown_properties_are_named_and_not_shown() {
    let mut data = good();
    data["gift"] = json!("secret");
    data["a-name-that-is-much-longer-than-what-people-call-their-properties"] = json!(1);
    let violations = Happened::contract().validate(&data).unwrap_err();
    assert_eq!(
        violations.to_string(),
        "the data: expected no properties but those of the contract, found also `a-name-that-is-much-longer-than-what-peo…` and `gift`"
    );
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
