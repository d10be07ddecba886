//! Newtypes that ask for a logical type: one type, and both schemas say the same of it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use commerce_contracts::avro::{AvroSchema, Decoder, Schema};
use commerce_contracts::{EncodeError, Event};
use proptest::prelude::*;
use schemars::{JsonSchema, Schema as JsonSchemaOf, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// As a crate for decimals has it: no Avro schema of its own, and a JSON Schema that takes any number of digits, also as a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Exact(String);

impl JsonSchema for Exact {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Exact".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> JsonSchemaOf {
        json_schema!({"type": ["string", "number"], "pattern": r"^[-+]?[0-9]+(\.[0-9]+)?$"})
    }
}

macro_rules! newtypes {
    ($($name:ident($of:ty) $attribute:meta;)+) => {$(
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
        #[avro($attribute)]
        struct $name($of);
    )+};
}

newtypes! {
    Price(String) decimal(precision = 12, scale = 2);
    Ratio(Box<str>) decimal(precision = 4, scale = 4);
    Count(String) decimal(precision = 6);
    Widest(String) decimal(precision = 38, scale = 10);
    Whole(i64) decimal(precision = 5, scale = 0);
    Large(u64) decimal(precision = 19);
    Day(NaiveDate) date;
    TimeMillis(NaiveTime) time_millis;
    TimeMicros(NaiveTime) time_micros;
    Millis(DateTime<Utc>) timestamp_millis;
    Micros(DateTime<Utc>) timestamp_micros;
    Nanos(DateTime<Utc>) timestamp_nanos;
    LocalMillis(NaiveDateTime) local_timestamp_millis;
    LocalMicros(NaiveDateTime) local_timestamp_micros;
    LocalNanos(NaiveDateTime) local_timestamp_nanos;
    Epoch(i64) timestamp_millis;
}

/// Both refer to one type, with digits of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(transparent)]
#[avro(decimal(precision = 12, scale = 2))]
struct Money {
    amount: Exact,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(transparent)]
#[avro(decimal(precision = 6, scale = 6))]
struct Rate(Exact);

/// Written as a text that it is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(into = "String", try_from = "String")]
#[avro(decimal(precision = 9, scale = 1))]
struct Tenths {
    tenths: i64,
}

impl From<Tenths> for String {
    fn from(Tenths { tenths }: Tenths) -> Self {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

impl TryFrom<String> for Tenths {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let tenths = text.replace('.', "").parse()?;
        Ok(Self { tenths })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
#[event(name = "tests.sale.made", version = 1, topic = "tests", key = "id")]
struct Sale {
    id: u32,
    price: Price,
    ratio: Ratio,
    count: Count,
    widest: Widest,
    money: Money,
    rate: Rate,
    whole: Whole,
    large: Large,
    tenths: Tenths,
    #[serde(alias = "reduction")]
    discount: Option<Price>,
    prices: Vec<Money>,
    by_name: BTreeMap<String, Option<Rate>>,
    #[serde(default = "free")]
    freight: Price,
}

fn free() -> Price {
    Price("-12.5".to_owned())
}

fn sale() -> Value {
    json!({
        "id": 1, "price": "12.50", "ratio": "0.25", "count": "7", "widest": "-1", "money": "3", "rate": "0.5", "whole": -99999,
        "large": 9_999_999_999_999_999_999_u64, "tenths": "1.5", "discount": null, "prices": ["1.25"], "by_name": {"a": "0.1", "b": null},
        "freight": "0"
    })
}

#[test]
fn a_newtype_has_the_logical_type_that_it_asks_for() {
    fn of<T: AvroSchema>() -> Value {
        Schema::of::<T>().unwrap().to_json()
    }
    let decimal = |precision: u32, scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
    let time = |on: &str, name: &str| json!({"type": on, "logicalType": name});
    for (found, expected) in [
        (of::<Price>(), decimal(12, 2)),
        (of::<Count>(), decimal(6, 0)),
        (of::<Money>(), decimal(12, 2)),
        (of::<Rate>(), decimal(6, 6)),
        (of::<Tenths>(), decimal(9, 1)),
        (of::<Whole>(), decimal(5, 0)),
        (of::<Day>(), time("int", "date")),
        (of::<TimeMillis>(), time("int", "time-millis")),
        (of::<TimeMicros>(), time("long", "time-micros")),
        (of::<Millis>(), time("long", "timestamp-millis")),
        (of::<Micros>(), time("long", "timestamp-micros")),
        (of::<Nanos>(), time("long", "timestamp-nanos")),
        (of::<LocalMillis>(), time("long", "local-timestamp-millis")),
        (of::<LocalMicros>(), time("long", "local-timestamp-micros")),
        (of::<LocalNanos>(), time("long", "local-timestamp-nanos")),
        (of::<Epoch>(), time("long", "timestamp-millis")),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn times_are_read_as_they_were_written() {
    fn same<T>(value: &T)
    where
        T: AvroSchema + Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
    {
        let schema = Schema::of::<T>().unwrap();
        let decoder = Decoder::new(&schema, &schema).unwrap();
        let data = schema.encode(value).unwrap();
        assert_eq!(decoder.decode::<T>(&data).unwrap(), *value);
    }
    let instant = DateTime::from_timestamp_millis(1_795_266_000_123).unwrap();
    let local = instant.naive_utc();
    same(&Day(local.date()));
    same(&TimeMillis(local.time()));
    same(&TimeMicros(local.time()));
    same(&Millis(instant));
    same(&Micros(instant));
    same(&Nanos(instant));
    same(&LocalMillis(local));
    same(&LocalMicros(local));
    same(&LocalNanos(local));
    same(&Epoch(1_795_266_000_123));
}

#[test]
fn the_value_of_a_missing_field_is_the_number_behind_it() {
    #[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
    struct Offer {
        #[serde(default = "free")]
        price: Price,
        #[serde(default = "seven")]
        whole: Whole,
        #[serde(default = "start")]
        from: Millis,
        #[serde(default = "day")]
        day: Day,
    }
    fn seven() -> Whole {
        Whole(7)
    }
    fn start() -> Millis {
        Millis(DateTime::from_timestamp_millis(1_500).unwrap())
    }
    fn day() -> Day {
        Day(NaiveDate::from_epoch_days(-3).unwrap())
    }
    let schema = Schema::of::<Offer>().unwrap();
    let json = schema.to_json();
    let defaults: Vec<&Value> = (0..4)
        .map(|index| &json["fields"][index]["default"])
        .collect();
    // -1250 and 7 in two's complement, one character for each byte.
    assert_eq!(
        defaults,
        [
            &json!("\u{fb}\u{1e}"),
            &json!("\u{7}"),
            &json!(1500),
            &json!(-3)
        ]
    );
    let empty =
        Schema::from_json(&json!({"type": "record", "name": "Offer", "fields": []})).unwrap();
    let read: Offer = Decoder::new(&empty, &schema).unwrap().decode(&[]).unwrap();
    let price = Price("-12.50".to_owned());
    assert_eq!(
        read,
        Offer {
            price,
            whole: seven(),
            from: start(),
            day: day()
        }
    );
}

#[test]
fn a_default_with_too_many_digits_is_none() {
    /// More digits than it has.
    #[derive(Serialize, Deserialize, AvroSchema)]
    struct Wrong {
        #[serde(default = "thousandth")]
        price: Price,
    }
    fn thousandth() -> Price {
        Price("0.001".to_owned())
    }
    // As bytes, its characters would be another number.
    let error = Schema::of::<Wrong>().unwrap_err();
    assert_eq!(error.pointer(), "/fields/0/default");
}

const DECIMALS: [&str; 10] = [
    "price", "ratio", "count", "widest", "money", "rate", "discount", "prices", "by_name",
    "freight",
];

/// Numbers that nearly fit, and texts that are nearly numbers.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        r"[-+]?0{0,2}[0-9]{1,13}(\.[0-9]{0,4}0{0,3})?",
        r"[-+]?[0-9]{0,3}(\.[0-9]{0,5})?",
        r"[-+]?[0-9]{26,42}(\.[0-9]{8,12})?",
        "[-+.0-9e ٣_]{0,6}",
        ".{0,4}\n?",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// The promise of the schemas: by JSON, as it is written and as it is read, exactly those texts are valid that Avro takes.
    #[test]
    fn json_takes_the_decimals_that_avro_takes(field in prop::sample::select(DECIMALS.as_slice()), text in texts()) {
        let contract = Sale::contract();
        let schema = contract.avro_schema().unwrap();
        let mut json = sale();
        json[field] = match field {
            "prices" => json!([text]),
            "by_name" => json!({"": text}),
            _ => json!(text),
        };
        let by_avro = schema.encode(&json).is_ok();
        prop_assert_eq!(contract.validate(&json).is_ok(), by_avro);
        prop_assert_eq!(contract.validate_on_write(&json).is_ok(), by_avro);
        // And without a copy as JSON.
        let sale: Sale = serde_json::from_value(json).unwrap();
        prop_assert_eq!(contract.check(&sale).is_ok(), by_avro);
        prop_assert_eq!(schema.encode(&sale).is_ok(), by_avro);
    }

    #[test]
    fn json_takes_the_whole_numbers_that_avro_takes(
        whole in prop_oneof![-100_001..100_001_i64, any::<i64>()],
        large in prop_oneof![9_999_999_999_999_999_990..10_000_000_000_000_000_010_u64, any::<u64>()],
    ) {
        let contract = Sale::contract();
        let schema = contract.avro_schema().unwrap();
        for (field, number) in [("whole", json!(whole)), ("large", json!(large))] {
            let mut json = sale();
            json[field] = number;
            let by_avro = schema.encode(&json).is_ok();
            prop_assert_eq!(contract.validate(&json).is_ok(), by_avro, "{}", json);
            prop_assert_eq!(contract.validate_on_write(&json).is_ok(), by_avro, "{}", json);
            let sale: Sale = serde_json::from_value(json).unwrap();
            prop_assert_eq!(contract.check(&sale).is_ok(), by_avro);
        }
    }
}

#[test]
fn the_pattern_stands_where_the_decimal_does() {
    let on_read = &Sale::contract().schema_on_read()["properties"];
    let pattern = r"^[-+]?0*[0-9]{1,10}(\.[0-9]{1,2}0*)?$";
    assert_eq!(on_read["price"]["pattern"], pattern);
    assert_eq!(on_read["discount"]["anyOf"][0]["pattern"], pattern);
    // Under the other name too.
    assert_eq!(on_read["reduction"], on_read["discount"]);
    // The type that both refer to is as it was, and a floating point number is none of them.
    let exact = &Sale::contract().schema_on_read()["$defs"]["Exact"];
    assert_eq!(exact["type"], json!(["string", "number"]));
    for (field, pattern) in [("money", pattern), ("rate", r"^[-+]?0+(\.[0-9]{1,6}0*)?$")] {
        assert_eq!(on_read[field]["pattern"], pattern, "{}", on_read[field]);
        assert_eq!(on_read[field]["type"], "string");
    }
    let mut json = sale();
    json["money"] = json!(1.5);
    assert!(Sale::contract().validate(&json).is_err());
    // What has a name is limited beside it; a number of 64 bits holds less than its type says anyway.
    assert_eq!(
        on_read["large"]["maximum"],
        json!(9_999_999_999_999_999_999_u64)
    );
    assert_eq!(
        on_read["large"].get("minimum"),
        None,
        "{}",
        on_read["large"]
    );
}

#[test]
fn what_does_not_fit_is_not_produced() {
    let mut sale: Sale = serde_json::from_value(sale()).unwrap();
    assert_eq!(sale.event().unwrap().decode::<Sale>().unwrap(), sale);
    sale.prices = vec![Money {
        amount: Exact("12345678901.00".to_owned()),
    }];
    for error in [sale.event().unwrap_err(), sale.event_avro().unwrap_err()] {
        let EncodeError::Invalid(violations) = error else {
            panic!("{error}");
        };
        let places: Vec<&str> = violations
            .iter()
            .map(|violation| violation.pointer.as_str())
            .collect();
        assert_eq!(places, ["/prices/0"]);
    }
}

#[test]
fn what_is_in_a_newtype_stays_personal() {
    #[derive(Serialize, Deserialize, JsonSchema, AvroSchema, commerce_contracts::PersonalData)]
    struct Birthday(NaiveDate);
    #[derive(Serialize, Deserialize, JsonSchema, AvroSchema)]
    #[avro(date)]
    struct Born(Birthday);
    #[derive(Serialize, Deserialize, JsonSchema, AvroSchema, commerce_contracts::PersonalData)]
    #[avro(decimal(precision = 9, scale = 2))]
    struct Salary(String);
    #[derive(Serialize, Deserialize, JsonSchema, Event)]
    #[event(name = "tests.person.hired", version = 1, topic = "tests", key = "id")]
    struct Hired {
        id: u32,
        born: Born,
        salary: Salary,
        bonus: Price,
    }
    assert_eq!(Hired::contract().personal(), ["/born", "/salary"]);
}

/// The two checkers, of one change: both find it.
#[cfg(feature = "compatibility")]
#[test]
fn other_digits_are_another_contract() {
    use commerce_contracts::compatibility::{Mode, avro, json};

    mod wider {
        use super::{AvroSchema, Deserialize, Event, JsonSchema, Serialize};

        #[derive(Serialize, Deserialize, JsonSchema, AvroSchema)]
        #[avro(decimal(precision = 13, scale = 2))]
        pub(super) struct Price(String);

        #[derive(Serialize, Deserialize, JsonSchema, Event)]
        #[event(name = "tests.offer.made", version = 1, topic = "tests", key = "id")]
        pub(super) struct Offer {
            id: u32,
            price: Price,
        }
    }
    #[derive(Serialize, Deserialize, JsonSchema, Event)]
    #[event(name = "tests.offer.made", version = 1, topic = "tests", key = "id")]
    struct Offer {
        id: u32,
        price: Price,
    }
    let (old, new) = (Offer::contract(), wider::Offer::contract());
    let by_avro = |old: &commerce_contracts::Contract, new: &commerce_contracts::Contract| {
        let (old, new) = (old.avro_schema().unwrap(), new.avro_schema().unwrap());
        avro::check(&old.to_json(), &new.to_json(), Mode::Full)
    };
    let by_json = |old: &commerce_contracts::Contract, new: &commerce_contracts::Contract| {
        json::check(
            old.schema_on_write(),
            new.schema_on_read(),
            Mode::Full,
            json::Policy::default(),
        )
    };
    assert!(by_avro(old, old).is_compatible());
    assert!(by_json(old, old).is_compatible());
    assert!(!by_avro(old, new).is_compatible());
    assert!(!by_json(old, new).is_compatible());
}
