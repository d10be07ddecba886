//! What an order of five items costs in Avro: ours beside apache-avro, serde_avro_fast and serde_json, in one run on one machine.
//!
//! All read and write the same type. Each round runs every contender in turn, so that a busy machine slows all of them; of the
//! rounds the best counts. Read the ratios, not the nanoseconds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use commerce_contracts::avro::{Decoder, Schema};
use serde::{Deserialize, Serialize};

const ROUNDS: usize = 40;
const PER_ROUND: u32 = 2_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: String,
    number: String,
    channel: String,
    customer: Customer,
    items: Vec<Item>,
    freight: Money,
    total: Money,
    note: Option<String>,
    postal_code: String,
    placed_at: i64,
}

/// The same order as the next version of its type has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OrderNext {
    id: String,
    number: String,
    customer: Customer,
    items: Vec<Item>,
    total: Money,
    freight: Money,
    note: Option<String>,
    gift: bool,
    postal_code: String,
    placed_at: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Customer {
    id: String,
    name: String,
    email: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    sku: String,
    name: String,
    quantity: i64,
    unit_price: Money,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Money {
    amount_minor: i64,
    currency: String,
}

const MONEY: &str = r#"{"type": "record", "name": "Money", "fields": [
    {"name": "amount_minor", "type": "long"}, {"name": "currency", "type": "string"}]}"#;
const CUSTOMER: &str = r#"{"type": "record", "name": "Customer", "fields": [
    {"name": "id", "type": "string"}, {"name": "name", "type": "string"}, {"name": "email", "type": "string"}]}"#;

fn items(quantity: &str) -> String {
    format!(
        r#"{{"type": "array", "items": {{"type": "record", "name": "Item", "fields": [
        {{"name": "sku", "type": "string"}}, {{"name": "name", "type": "string"}},
        {{"name": "quantity", "type": "{quantity}"}}, {{"name": "unit_price", "type": {MONEY}}}]}}}}"#
    )
}

fn written() -> String {
    format!(
        r#"{{"type": "record", "name": "Order", "fields": [
        {{"name": "id", "type": "string"}}, {{"name": "number", "type": "string"}}, {{"name": "channel", "type": "string"}},
        {{"name": "customer", "type": {CUSTOMER}}}, {{"name": "items", "type": {}}},
        {{"name": "freight", "type": "Money"}}, {{"name": "total", "type": "Money"}},
        {{"name": "note", "type": ["null", "string"]}}, {{"name": "postal_code", "type": "string"}}, {{"name": "placed_at", "type": "long"}}]}}"#,
        items("long")
    )
}

/// One field is gone, one is new, two have changed places.
fn next() -> String {
    format!(
        r#"{{"type": "record", "name": "Order", "fields": [
        {{"name": "id", "type": "string"}}, {{"name": "number", "type": "string"}},
        {{"name": "customer", "type": {CUSTOMER}}}, {{"name": "items", "type": {}}},
        {{"name": "total", "type": "Money"}}, {{"name": "freight", "type": "Money"}},
        {{"name": "note", "type": ["null", "string"]}}, {{"name": "gift", "type": "boolean", "default": false}},
        {{"name": "postal_code", "type": "string"}}, {{"name": "placed_at", "type": "long"}}]}}"#,
        items("long")
    )
}

fn order() -> Order {
    let money = |amount_minor| Money {
        amount_minor,
        currency: "BRL".to_owned(),
    };
    let item = |index: i64| Item {
        sku: format!("SKU-000{index}"),
        name: format!("Camiseta de algodão, tamanho {index}"),
        quantity: index + 1,
        unit_price: money(4_990 + index),
    };
    Order {
        id: "0199f1a2-7b3c-7d4e-8f5a-6b7c8d9e0f1a".to_owned(),
        number: "2026-000123".to_owned(),
        channel: "web".to_owned(),
        customer: Customer {
            id: "0199f1a2-0000-7d4e-8f5a-6b7c8d9e0f1a".to_owned(),
            name: "Maria da Silva".to_owned(),
            email: "maria@example.com".to_owned(),
        },
        items: (0..5).map(item).collect(),
        freight: money(1_500),
        total: money(76_350),
        note: Some("Entregar na portaria".to_owned()),
        postal_code: "01310100".to_owned(),
        placed_at: 1_795_266_000_000_000,
    }
}

struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut() + 'a>,
    best: Duration,
}

fn contender<'a, T>(name: &'static str, mut run: impl FnMut() -> T + 'a) -> Contender<'a> {
    Contender {
        name,
        run: Box::new(move || {
            black_box(run());
        }),
        best: Duration::MAX,
    }
}

/// Runs all, and prints each one's time and what ours is of it; the first is ours, the second the one that the target names.
fn compare(title: &str, target: Option<f64>, mut contenders: Vec<Contender<'_>>) {
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            let started = Instant::now();
            for _ in 0..PER_ROUND {
                (contender.run)();
            }
            contender.best = contender.best.min(started.elapsed() / PER_ROUND);
        }
    }
    println!("\n{title}");
    let ours = contenders[0].best;
    for (index, contender) in contenders.iter().enumerate() {
        let ratio = ours.as_secs_f64() / contender.best.as_secs_f64();
        let wanted = match target {
            Some(target) if index == 1 => {
                let verdict = if ratio <= target { "met" } else { "missed" };
                format!("   target <= {target:.2}: {verdict}")
            }
            _ => String::new(),
        };
        println!(
            "  {:<58} {:>6} ns   ours / this {ratio:>5.2}{wanted}",
            contender.name,
            contender.best.as_nanos()
        );
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one list of contenders after another"
)]
fn main() {
    let value = order();
    let (ours, ours_next) = (
        Schema::parse(&written()).expect("a schema"),
        Schema::parse(&next()).expect("a schema"),
    );
    let (apache, apache_next) = (
        apache_avro::Schema::parse_str(&written()).expect("a schema"),
        apache_avro::Schema::parse_str(&next()).expect("a schema"),
    );
    let fast: serde_avro_fast::Schema = written().parse().expect("a schema");
    let data = ours.encode(&value).expect("the order");
    let json = serde_json::to_vec(&value).expect("the order");
    println!(
        "one order of five items: {} bytes of Avro, {} of JSON",
        data.len(),
        json.len()
    );

    let writer = GenericDatumWriter::builder(&apache)
        .build()
        .expect("a writer");
    assert_eq!(writer.write_ser_to_vec(&value).expect("the order"), data);
    let mut fast_config = serde_avro_fast::ser::SerializerConfig::new(&fast);
    let mut out = Vec::new();
    compare(
        "encode",
        Some(1.0),
        vec![
            contender("ours", || ours.encode(&value).expect("the order")),
            contender("apache-avro, write_ser with a reused writer", || {
                writer.write_ser_to_vec(&value).expect("the order")
            }),
            contender("serde_avro_fast", || {
                serde_avro_fast::to_datum_vec(&value, &mut fast_config).expect("the order")
            }),
            contender("serde_json", || {
                serde_json::to_vec(&value).expect("the order")
            }),
            contender("ours, into a reused buffer", || {
                out.clear();
                ours.encode_into(&value, &mut out).expect("the order");
            }),
        ],
    );

    let same = Decoder::new(&ours, &ours).expect("the same schema");
    assert_eq!(same.decode::<Order>(&data).expect("the order"), value);
    let reader = GenericDatumReader::builder(&apache)
        .build()
        .expect("a reader");
    compare(
        "decode, one schema",
        None,
        vec![
            contender("ours", || same.decode::<Order>(&data).expect("the order")),
            contender("apache-avro, read_deser", || {
                reader
                    .read_deser::<Order>(&mut &data[..])
                    .expect("the order")
            }),
            contender("serde_avro_fast", || {
                serde_avro_fast::from_datum_slice::<Order>(&data, &fast).expect("the order")
            }),
            contender("serde_json", || {
                serde_json::from_slice::<Order>(&json).expect("the order")
            }),
        ],
    );

    let evolved = Decoder::new(&ours, &ours_next).expect("schemas that resolve");
    let resolving = GenericDatumReader::builder(&apache)
        .reader_schema(&apache_next)
        .build()
        .expect("a reader");
    let theirs = || {
        let value = resolving.read_value(&mut &data[..]).expect("the order");
        apache_avro::from_value::<OrderNext>(&value).expect("the order")
    };
    assert_eq!(
        evolved.decode::<OrderNext>(&data).expect("the order"),
        theirs()
    );
    compare(
        "typed decode, data of the version before (serde_avro_fast has no reader's schema)",
        Some(0.3),
        vec![
            contender("ours", || {
                evolved.decode::<OrderNext>(&data).expect("the order")
            }),
            contender(
                "apache-avro, with a reader's schema, then from_value",
                theirs,
            ),
        ],
    );

    compare(
        "once per pair of schemas",
        None,
        vec![
            contender("ours: Decoder::new", || {
                Decoder::new(&ours, &ours_next).expect("schemas that resolve")
            }),
            contender("ours: Schema::parse", || {
                Schema::parse(&written()).expect("a schema")
            }),
            contender("apache-avro: Schema::parse_str", || {
                apache_avro::Schema::parse_str(&written()).expect("a schema")
            }),
        ],
    );
}
