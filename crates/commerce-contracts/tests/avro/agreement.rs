//! One type, three descriptions: what serde writes, the JSON Schema and the Avro schema say the same of any value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use commerce_contracts::Event;
use commerce_contracts::avro::{AvroSchema, Decoder, Schema, WriterSchemas};
use commerce_contracts::commerce::{Customer, Money, OrderCreated, OrderItem, Quantity};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::peer;

/// Whatever a field of an event can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "tests.everything.happened",
    version = 1,
    topic = "tests",
    key = "id"
)]
#[serde(rename_all = "camelCase")]
struct Everything {
    id: Identifier,
    flag: bool,
    signed: Signed,
    unsigned: Unsigned,
    #[serde(rename = "single")]
    float: f32,
    double: f64,
    letter: char,
    text: Box<str>,
    bytes: Vec<u8>,
    seal: [u8; 4],
    times: Times,
    price: Price,
    optional: Optional,
    #[serde(default)]
    maps: Maps,
    #[serde(alias = "children", skip_serializing_if = "Vec::is_empty", default)]
    nodes: Vec<Node>,
    grade: Grade,
    grades: BTreeSet<Grade>,
    #[serde(skip)]
    cached: (),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(transparent)]
struct Identifier(Uuid);

impl std::fmt::Display for Identifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Signed {
    tiny: i8,
    small: i16,
    middle: i32,
    large: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Unsigned {
    tiny: u8,
    small: u16,
    middle: u32,
    large: u64,
}

/// All logical types of time: those that a type of Rust has by itself, and those that a newtype asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Times {
    date: NaiveDate,
    time: NaiveTime,
    local: NaiveDateTime,
    instant: DateTime<Utc>,
    time_millis: TimeMillis,
    instant_millis: InstantMillis,
    instant_nanos: InstantNanos,
    local_millis: LocalMillis,
    local_nanos: LocalNanos,
}

/// Times in other units than their types have by themselves.
macro_rules! in_units {
    ($($name:ident($of:ty) $unit:ident;)+) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
        #[serde(transparent)]
        #[avro($unit)]
        struct $name($of);
    )+};
}

in_units! {
    TimeMillis(NaiveTime) time_millis;
    InstantMillis(DateTime<Utc>) timestamp_millis;
    InstantNanos(DateTime<Utc>) timestamp_nanos;
    LocalMillis(NaiveDateTime) local_timestamp_millis;
    LocalNanos(NaiveDateTime) local_timestamp_nanos;
}

/// A decimal number as text, exact in JSON as it is in Avro.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(transparent)]
#[avro(decimal(precision = 12, scale = 2))]
struct Price(String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Optional {
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsigned: Option<u64>,
    list: Option<Vec<Option<i32>>>,
    instant: Option<DateTime<Utc>>,
    grade: Option<Grade>,
    node: Option<Box<Node>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Maps {
    numbers: BTreeMap<String, u64>,
    by_id: BTreeMap<Uuid, Option<bool>>,
    by_number: BTreeMap<u32, Vec<NaiveDate>>,
    #[serde(default)]
    nodes: BTreeMap<String, Node>,
}

/// Contains itself, and stands in several places.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Node {
    name: String,
    inside: Vec<Node>,
}

/// A choice.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    AvroSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Grade {
    VeryGood,
    #[serde(rename = "fair")]
    Fair,
    #[serde(other)]
    Unknown,
}

fn grades() -> impl Strategy<Value = Grade> {
    prop::sample::select(vec![Grade::VeryGood, Grade::Fair, Grade::Unknown])
}

fn nodes() -> impl Strategy<Value = Node> {
    let leaf = ".{0,5}".prop_map(|name| Node {
        name,
        inside: Vec::new(),
    });
    leaf.prop_recursive(3, 8, 3, |inner| {
        (".{0,5}", prop::collection::vec(inner, 0..3))
            .prop_map(|(name, inside)| Node { name, inside })
    })
}

/// Of the years that JSON's formats know, 1 to 9999.
fn instants(parts: i64) -> impl Strategy<Value = DateTime<Utc>> {
    let (first, last) = (-62_135_596_800 * parts, 253_402_300_799 * parts);
    (first..last).prop_map(move |count| {
        let nanos = count.rem_euclid(parts) * (1_000_000_000 / parts);
        DateTime::from_timestamp(count.div_euclid(parts), u32::try_from(nanos).unwrap()).unwrap()
    })
}

/// What 64 bits of nanoseconds hold: the years 1678 to 2261.
fn nanos() -> impl Strategy<Value = DateTime<Utc>> {
    any::<i64>().prop_map(DateTime::from_timestamp_nanos)
}

fn of_day(parts: u32) -> impl Strategy<Value = NaiveTime> {
    (0..86_400_u32, 0..parts).prop_map(move |(second, part)| {
        NaiveTime::from_num_seconds_from_midnight_opt(second, part * (1_000_000_000 / parts))
            .unwrap()
    })
}

fn days() -> impl Strategy<Value = NaiveDate> {
    (-719_162..2_932_896).prop_map(|days| NaiveDate::from_epoch_days(days).unwrap())
}

prop_compose! {
    fn times()(
        (date, time, time_millis) in (days(), of_day(1_000_000), of_day(1_000)),
        (local, instant) in (instants(1_000_000), instants(1_000_000)),
        (instant_millis, local_millis) in (instants(1_000), instants(1_000)),
        (instant_nanos, local_nanos) in (nanos(), nanos()),
    ) -> Times {
        Times {
            date,
            time,
            local: local.naive_utc(),
            instant,
            time_millis: TimeMillis(time_millis),
            instant_millis: InstantMillis(instant_millis),
            instant_nanos: InstantNanos(instant_nanos),
            local_millis: LocalMillis(local_millis.naive_utc()),
            local_nanos: LocalNanos(local_nanos.naive_utc()),
        }
    }
}

prop_compose! {
    fn optional()(
        (text, unsigned, list) in any::<(Option<String>, Option<u64>, Option<Vec<Option<i32>>>)>(),
        (instant, grade) in (prop::option::of(instants(1_000_000)), prop::option::of(grades())),
        node in prop::option::of(nodes().prop_map(Box::new)),
    ) -> Optional {
        Optional { text, unsigned, list, instant, grade, node }
    }
}

prop_compose! {
    fn maps()(
        numbers in prop::collection::btree_map(".{0,4}", any::<u64>(), 0..4),
        by_id in prop::collection::btree_map(any::<u128>().prop_map(Uuid::from_u128), any::<Option<bool>>(), 0..4),
        by_number in prop::collection::btree_map(any::<u32>(), prop::collection::vec(days(), 0..3), 0..4),
        nodes in prop::collection::btree_map(".{0,4}", nodes(), 0..3),
    ) -> Maps {
        Maps { numbers, by_id, by_number, nodes }
    }
}

prop_compose! {
    fn everything()(
        (id, flag, letter, text, bytes, seal) in any::<(u128, bool, char, String, Vec<u8>, [u8; 4])>(),
        signed in any::<(i8, i16, i32, i64)>(),
        unsigned in any::<(u8, u16, u32, u64)>(),
        (float, double) in (prop::num::f32::NORMAL | prop::num::f32::ZERO, prop::num::f64::NORMAL | prop::num::f64::ZERO),
        (times, optional, maps) in (times(), optional(), maps()),
        cents in -999_999_999_999_i64..=999_999_999_999,
        nodes in prop::collection::vec(nodes(), 0..3),
        (grade, grades) in (grades(), prop::collection::btree_set(grades(), 0..3)),
    ) -> Everything {
        let sign = if cents < 0 { "-" } else { "" };
        Everything {
            id: Identifier(Uuid::from_u128(id)),
            flag,
            signed: Signed { tiny: signed.0, small: signed.1, middle: signed.2, large: signed.3 },
            unsigned: Unsigned { tiny: unsigned.0, small: unsigned.1, middle: unsigned.2, large: unsigned.3 },
            float,
            double,
            letter,
            text: text.into(),
            bytes,
            seal,
            times,
            price: Price(format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)),
            optional,
            maps,
            nodes,
            grade,
            grades,
            cached: (),
        }
    }
}

prop_compose! {
    fn created()(
        (organization, order, customer) in any::<(u128, u128, u128)>(),
        (reference, name) in any::<(Option<String>, String)>(),
        email in "[a-z]{1,9}@[a-z]{1,9}\\.com",
        items in prop::collection::vec(("[A-Z0-9]{1,20}", any::<String>(), 1_u32.., any::<i64>()), 0..4),
        (freight, total, instant) in (any::<i64>(), any::<i64>(), instants(1_000_000)),
        currency in prop::sample::select(vec!["BRL", "JPY", "KWD"]),
    ) -> OrderCreated {
        let money = |amount_minor| Money::new(amount_minor, currency.parse().unwrap());
        let uuid = Uuid::from_u128;
        let items = items.into_iter().map(|(sku, name, quantity, price)| OrderItem {
            sku: sku.parse().unwrap(),
            name,
            quantity: Quantity::new(quantity).unwrap(),
            unit_price: money(price),
        });
        OrderCreated {
            organization_id: uuid(organization).into(),
            order_id: uuid(order).into(),
            reference,
            customer: Customer { customer_id: uuid(customer).into(), name, email: email.parse().unwrap() },
            items: items.collect(),
            freight: money(freight),
            total: money(total),
            created_at: instant,
        }
    }
}

/// The promise: what serde writes is valid JSON by both JSON Schemas, the Avro is read back by us and by apache-avro, what
/// apache-avro writes is read by us, and all of them are the same value.
fn agree<E: Event + PartialEq + Debug>(event: &E) -> (Value, Value) {
    let contract = E::contract();
    let json = serde_json::to_value(event).unwrap();
    contract.validate_on_write(&json).unwrap();
    contract.validate(&json).unwrap();
    let from_json: E = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(&from_json, event);

    let schema = contract.avro_schema().unwrap();
    let data = schema.encode(event).unwrap();
    let decoder = Decoder::new(schema, schema).unwrap();
    let from_avro: E = decoder.decode(&data).unwrap();
    assert_eq!(from_avro, from_json);
    // JSON of the same schema is written as the value itself is.
    assert_eq!(
        decoder.decode::<E>(&schema.encode(&json).unwrap()).unwrap(),
        from_json
    );

    let theirs = peer::read(schema, None, &data).unwrap();
    let rewritten = peer::write(schema, theirs.clone());
    assert_eq!(decoder.decode::<E>(&rewritten).unwrap(), from_json);
    (json, peer::to_json(theirs))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn everything_is_the_same_in_json_and_in_avro(event in everything()) {
        let (mut json, mut theirs) = agree(&event);
        // Left out in JSON is empty or null in Avro; a decimal is its unscaled number to apache-avro.
        let object = json.as_object_mut().unwrap();
        object.entry("nodes").or_insert_with(|| json!([]));
        object["optional"].as_object_mut().unwrap().entry("unsigned").or_insert(Value::Null);
        let digits: i64 = event.price.0.replace('.', "").parse().unwrap();
        let unscaled = theirs["price"].take().to_string();
        prop_assert_eq!(unscaled.trim_matches('"'), digits.to_string());
        json["price"].take();
        prop_assert_eq!(theirs, json);
    }

    #[test]
    fn orders_are_the_same_in_json_and_in_avro(event in created()) {
        let (json, theirs) = agree(&event);
        prop_assert_eq!(theirs, json);
    }
}

/// What stands on the wire before a change, and after it: fields gone, added, renamed, widened, made optional, and a symbol that
/// is no longer known.
mod before {
    use super::{AvroSchema, Deserialize, Event, JsonSchema, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
    #[event(name = "tests.sale.made", version = 1, topic = "tests", key = "id")]
    pub(super) struct Sale {
        pub(super) id: u32,
        pub(super) channel: Channel,
        pub(super) gone: Vec<Line>,
        pub(super) lines: Vec<Line>,
        pub(super) ratio: f32,
        pub(super) note: String,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
    pub(super) struct Line {
        pub(super) quantity: i32,
        pub(super) sku: String,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
    pub(super) enum Channel {
        Shop,
        Fax,
        Web,
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
#[event(name = "tests.sale.made", version = 1, topic = "tests", key = "number")]
struct Sale {
    note: Option<String>,
    #[serde(alias = "id")]
    number: i64,
    lines: Vec<Line>,
    #[serde(default = "new_field")]
    currency: String,
    ratio: f64,
    channel: Channel,
    labels: Option<BTreeMap<String, String>>,
}

fn new_field() -> String {
    "BRL".to_owned()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Line {
    #[serde(alias = "sku")]
    code: Box<str>,
    quantity: i64,
    #[serde(default)]
    discount: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
enum Channel {
    Web,
    #[serde(alias = "Shop")]
    Store,
    #[serde(other)]
    Other,
}

prop_compose! {
    fn lines()(lines in any::<Vec<(i32, String)>>()) -> Vec<before::Line> {
        lines.into_iter().map(|(quantity, sku)| before::Line { quantity, sku }).collect()
    }
}

proptest! {
    /// Data that was written by the writer's schema, read through the reader's schema into the reader's type, is what the
    /// reader's type makes of the writer's JSON. apache-avro is no judge of this one: it does not follow the aliases of fields.
    #[test]
    fn a_later_version_reads_the_same_from_json_and_from_avro(
        (id, note, ratio) in (any::<u32>(), any::<String>(), prop::num::f32::NORMAL | prop::num::f32::ZERO),
        (gone, lines) in (lines(), lines()),
        channel in prop::sample::select(vec![before::Channel::Shop, before::Channel::Fax, before::Channel::Web]),
    ) {
        let written = before::Sale { id, channel, gone, lines, ratio, note };
        let (writer, reader) = (Schema::of::<before::Sale>().unwrap(), Schema::of::<Sale>().unwrap());
        let data = writer.encode(&written).unwrap();
        let from_avro: Sale = Decoder::new(&writer, &reader).unwrap().decode(&data).unwrap();
        let from_json: Sale = serde_json::from_value(serde_json::to_value(&written).unwrap()).unwrap();
        prop_assert_eq!(&from_avro, &from_json);
        prop_assert_eq!(from_json.channel, match channel {
            before::Channel::Shop => Channel::Store,
            before::Channel::Web => Channel::Web,
            before::Channel::Fax => Channel::Other,
        });
        // And as events come: the contract lets through what serde and Avro read. JSON's text has the digits of a float of 32 bits, and
        // not those that it gets as one of 64.
        let from_text: Sale = serde_json::from_slice(&serde_json::to_vec(&written).unwrap()).unwrap();
        prop_assert_eq!(written.event().unwrap().decode::<Sale>().unwrap(), from_text);
        let writers = WriterSchemas::new().with(writer);
        prop_assert_eq!(written.event_avro().unwrap().decode_with::<Sale>(&writers).unwrap(), from_avro);
    }
}
