//! Avro: an order of five items written, read, and read as the next version of its type; beside apache-avro, serde_avro_fast
//! and serde_json.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use commerce_contracts::Event;
use commerce_contracts::avro::{AvroSchema, Decoder, Schema};
use contracts_benchmarks::{Customer, Item, Money, OrderPlaced, Report, Target};
use serde::{Deserialize, Serialize};

/// The same order as the next build of its type has it: one field is gone, one is new, two have changed places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "OrderPlaced")]
struct Next {
    id: String,
    number: String,
    customer: Customer,
    items: Vec<Item>,
    total: Money,
    freight: Money,
    note: Option<String>,
    #[serde(default)]
    gift: bool,
    postal_code: String,
    placed_at: i64,
}

pub(crate) fn rows(report: &mut Report) {
    let order = OrderPlaced::sample();
    let ours = OrderPlaced::contract()
        .avro_schema()
        .expect("the order has a schema");
    let next = Schema::of::<Next>().expect("the next order has a schema");
    let apache = |schema: &Schema| apache_avro::Schema::parse(&schema.to_json()).expect("a schema");
    let (theirs, theirs_next) = (apache(ours), apache(&next));
    let fast: serde_avro_fast::Schema = ours.to_string().parse().expect("a schema");
    let data = ours.encode(&order).expect("the order");
    let json = serde_json::to_vec(&order).expect("the order");
    eprintln!("an order of five items: {} bytes of Avro, {} of JSON", data.len(), json.len());

    let writer = GenericDatumWriter::builder(&theirs).build().expect("a writer");
    let mut fast_writer = serde_avro_fast::ser::SerializerConfig::new(&fast);
    assert_eq!(writer.write_ser_to_vec(&order).expect("the order"), data);
    let encode = || ours.encode(&order).expect("the order");
    report.compare(
        "Avro encode",
        Target::Ratio(1.0),
        encode,
        "apache-avro: write_ser, reused writer",
        || writer.write_ser_to_vec(&order).expect("the order"),
    );
    report.compare("Avro encode", Target::None, encode, "serde_avro_fast", || {
        serde_avro_fast::to_datum_vec(&order, &mut fast_writer).expect("the order")
    });
    report.compare("Avro encode", Target::None, encode, "serde_json", || {
        serde_json::to_vec(&order).expect("the order")
    });

    let same = Decoder::new(ours, ours).expect("the same schema");
    let reader = GenericDatumReader::builder(&theirs).build().expect("a reader");
    assert_eq!(same.decode::<OrderPlaced>(&data).expect("the order"), order);
    let decode = || same.decode::<OrderPlaced>(&data).expect("the order");
    report.compare("Avro decode", Target::None, decode, "apache-avro: read_deser", || {
        let order: OrderPlaced = reader.read_deser(&mut &data[..]).expect("the order");
        order
    });
    report.compare("Avro decode", Target::None, decode, "serde_avro_fast", || {
        serde_avro_fast::from_datum_slice::<OrderPlaced>(&data, &fast).expect("the order")
    });
    report.compare("Avro decode", Target::None, decode, "serde_json", || {
        serde_json::from_slice::<OrderPlaced>(&json).expect("the order")
    });

    // serde_avro_fast has no reader's schema.
    let evolved = Decoder::new(ours, &next).expect("schemas that resolve");
    let resolving = GenericDatumReader::builder(&theirs)
        .reader_schema(&theirs_next)
        .build()
        .expect("a reader");
    let through_value = || {
        let value = resolving.read_value(&mut &data[..]).expect("the order");
        apache_avro::from_value::<Next>(&value).expect("the order")
    };
    assert_eq!(evolved.decode::<Next>(&data).expect("the order"), through_value());
    report.compare(
        "Avro decode, evolved",
        Target::Ratio(0.3),
        || evolved.decode::<Next>(&data).expect("the order"),
        "apache-avro: read_value with a reader schema, from_value",
        through_value,
    );
    report.compare(
        "Avro schema: parse",
        Target::None,
        || Schema::from_json(&ours.to_json()).expect("a schema"),
        "apache-avro: Schema::parse",
        || apache_avro::Schema::parse(&ours.to_json()).expect("a schema"),
    );
}
