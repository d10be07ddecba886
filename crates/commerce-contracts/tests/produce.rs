//! What is produced keeps its own contract, and the quick way to see so never says what the validator does not.
#![cfg(all(feature = "derive", feature = "validation"))]

use std::collections::BTreeMap;

use commerce_contracts::avro::AvroSchema;
use commerce_contracts::{EncodeError, Event};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "test.thing.happened", version = 1, topic = "test", key = "id")]
struct Happened {
    id: String,
    #[schemars(range(min = 1, max = 9))]
    count: i64,
    small: u8,
    large: u64,
    flag: bool,
    letter: char,
    weight: f64,
    #[schemars(regex(pattern = "^[ab]*$"))]
    word: String,
    #[schemars(length(min = 1, max = 3))]
    name: Option<String>,
    note: Option<String>,
    at: Option<chrono::DateTime<chrono::Utc>>,
    uuid: uuid::Uuid,
    #[schemars(length(max = 2))]
    parts: Vec<Part>,
    more: Vec<Part>,
    by_name: BTreeMap<String, Part>,
    best: Option<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absent: Option<i32>,
    bytes: Vec<u8>,
    color: Color,
    /// Required by the schema, and left out by the type where it is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(required)]
    demanded: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(deny_unknown_fields)]
struct Part {
    #[schemars(range(max = 5))]
    size: Option<i32>,
    color: Color,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(rename_all = "snake_case")]
enum Color {
    /// Documented.
    Red,
    Blue,
}

fn color() -> impl Strategy<Value = Color> {
    prop_oneof![Just(Color::Red), Just(Color::Blue)]
}

/// Mostly valid, so that whole events often are.
fn size() -> impl Strategy<Value = Option<i32>> {
    option::of(prop_oneof![9 => 0..=5, 1 => 6..8])
}

fn part() -> impl Strategy<Value = Part> {
    let leaf = (size(), color()).prop_map(|(size, color)| Part {
        size,
        color,
        parts: Vec::new(),
    });
    leaf.prop_recursive(2, 6, 2, |inner| {
        (size(), color(), vec(inner, 0..2)).prop_map(|(size, color, parts)| Part {
            size,
            color,
            parts,
        })
    })
}

prop_compose! {
    fn scalars()(
        id in "[a-z]{0,3}",
        count in prop_oneof![9 => 1..=9_i64, 1 => Just(0), 1 => Just(10)],
        (small, large, flag, letter) in any::<(u8, u64, bool, char)>(),
        weight in prop_oneof![20 => -1e9..1e9_f64, 1 => Just(f64::NAN), 1 => Just(3.0)],
        word in prop_oneof![9 => "[ab]{0,2}", 1 => Just("c".to_owned())],
        name in option::of(prop_oneof![9 => "[xé]{1,3}", 1 => Just(String::new()), 1 => Just("éééé".to_owned())]),
        note in option::of(".*"),
        at in option::of(0..4_000_000_000_i64),
        uuid in any::<u128>(),
        demanded in prop_oneof![9 => Just(Some("x".to_owned())), 1 => Just(None)],
    ) -> Happened {
        Happened {
            id, count, small, large, flag, letter, weight, word, name, note, demanded,
            at: at.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0)),
            uuid: uuid::Uuid::from_u128(uuid),
            ..fine()
        }
    }
}

prop_compose! {
    fn happened()(
        happened in scalars(),
        parts in prop_oneof![9 => vec(part(), 0..=2), 1 => vec(part(), 3)],
        more in vec(part(), 0..3),
        by_name in btree_map(".{0,2}", part(), 0..3),
        best in option::of(part()),
        absent in option::of(any::<i32>()),
    bytes: Vec<u8>,
        color in color(),
    ) -> Happened {
        Happened { parts, more, by_name, best, absent, bytes, color, ..happened }
    }
}

/// Its schema refers to itself as a whole.
#[derive(Clone, Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "test.tree.grown", version = 1, topic = "test", key = "id")]
struct Grown {
    id: String,
    #[schemars(range(max = 5))]
    size: i64,
    branches: Vec<Grown>,
}

#[test]
fn an_event_in_an_event_keeps_the_contract_as_well() {
    let grown = |size, branches| Grown {
        id: "a".to_owned(),
        size,
        branches,
    };
    assert_eq!(
        Grown::contract().check(&grown(1, vec![grown(5, Vec::new())])),
        Ok(())
    );
    let broken = grown(1, vec![grown(2, vec![grown(6, Vec::new())])]);
    let violations = Grown::contract().check(&broken).unwrap_err();
    let places: Vec<&str> = violations.iter().map(|one| one.pointer.as_str()).collect();
    assert_eq!(places, ["/branches/0/branches/0/size"]);
    assert!(matches!(broken.event(), Err(EncodeError::Invalid(_))));
}

/// Its schema lets a null in by its type, and not by its values.
#[derive(Clone, Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "test.thing.chosen", version = 1, topic = "test", key = "id")]
struct Chosen {
    id: String,
    #[schemars(extend("enum" = ["a", "b"]))]
    choice: Option<String>,
}

#[test]
fn null_is_held_to_what_is_beside_the_type() {
    let chosen = |choice: Option<&str>| Chosen {
        id: "a".to_owned(),
        choice: choice.map(str::to_owned),
    };
    let contract = Chosen::contract();
    assert_eq!(contract.check(&chosen(Some("b"))), Ok(()));
    for broken in [chosen(None), chosen(Some("c"))] {
        assert!(contract.check(&broken).is_err(), "{broken:?}");
    }
}

#[test]
fn the_quick_way_agrees_with_the_validator() {
    let contract = Happened::contract();
    let (mut valid, mut invalid) = (0, 0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(500));
    runner
        .run(&happened(), |happened| {
            let data = serde_json::to_value(&happened).unwrap();
            let verdict = contract.validate_on_write(&data);
            prop_assert_eq!(&contract.check(&happened), &verdict);
            Ok(())
        })
        .unwrap();
    // Neither verdict is rare among what is generated.
    let mut sample = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let happened = happened().new_tree(&mut sample).unwrap().current();
        match contract.check(&happened) {
            Ok(()) => valid += 1,
            Err(_) => invalid += 1,
        }
    }
    assert!(valid > 20 && invalid > 20, "{valid} valid, {invalid} not");
}

fn fine() -> Happened {
    Happened {
        id: "a".into(),
        count: 1,
        small: 0,
        large: u64::MAX,
        flag: true,
        letter: 'é',
        weight: 1.5,
        word: "ab".into(),
        name: Some("é".into()),
        note: None,
        at: None,
        uuid: uuid::Uuid::nil(),
        parts: Vec::new(),
        more: Vec::new(),
        by_name: BTreeMap::new(),
        best: None,
        absent: None,
        bytes: vec![1],
        color: Color::Blue,
        demanded: Some("x".into()),
    }
}

#[test]
fn an_event_that_breaks_its_own_contract_is_not_written() {
    assert!(fine().event().is_ok());
    let broken = Happened {
        count: 10,
        word: "secret".into(),
        ..fine()
    };
    let Err(EncodeError::Invalid(violations)) = broken.event() else {
        panic!("it was written");
    };
    assert_eq!(
        violations.to_string(),
        "/count: expected a number that is 9 or less, found an integer; /word: expected a string that matches ^[ab]*$, found a string of \
         6 characters"
    );
}

/// What a contract is not made for, and a value can still hold: more than 64 bits.
#[derive(Serialize)]
struct Wide {
    id: &'static str,
    count: i128,
    by_name: BTreeMap<&'static str, u128>,
}

#[derive(Clone, Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "test.thing.counted", version = 1, topic = "test", key = "id")]
struct Counted {
    id: String,
    #[schemars(with = "Unlimited")]
    count: i64,
    by_name: BTreeMap<String, u64>,
}

/// An integer of any size, as far as the schema goes.
#[derive(JsonSchema)]
#[schemars(extend("format" = "int128"))]
#[expect(dead_code, reason = "it is for its schema")]
struct Unlimited(i128);

#[test]
fn integers_of_more_than_64_bits_are_refused() {
    let check = |count: i128, other: u128| {
        let by_name = BTreeMap::from([("secret", other)]);
        let wide = Wide {
            id: "a",
            count,
            by_name,
        };
        Counted::contract()
            .check(&wide)
            .map_err(|error| error.to_string())
    };
    assert_eq!(check(i128::from(u64::MAX), u128::from(u64::MAX)), Ok(()));
    assert_eq!(check(i128::from(i64::MIN), 0), Ok(()));
    let said = "expected an integer of at most 64 bits, which every language reads, or its digits as a string, found an integer of more than \
                64 bits";
    assert_eq!(
        check(i128::from(u64::MAX) + 1, 0),
        Err(format!("/count: {said}"))
    );
    assert_eq!(
        check(i128::from(i64::MIN) - 1, 0),
        Err(format!("/count: {said}"))
    );
    assert_eq!(
        check(i128::MIN, u128::MAX),
        Err(format!("/by_name/*: {said}; /count: {said}"))
    );
}
