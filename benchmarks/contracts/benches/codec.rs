//! Avro, beside apache-avro, serde_avro_fast and serde_json.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use commerce_contracts::Event;
use commerce_contracts::avro::{Decoder, Schema};
use contracts_benchmarks::{OrderPlaced, OrderPlacedNext, Report, Target};
use serde_json::{Value, json};

pub(crate) fn rows(report: &mut Report) {
    let order = OrderPlaced::sample();
    let ours = OrderPlaced::contract().avro_schema().expect("a schema");
    let (written, next) = (ours.to_json(), next(ours.to_json()));
    let apache = apache_avro::Schema::parse(&written).expect("a schema");
    let fast: serde_avro_fast::Schema = written.to_string().parse().expect("a schema");
    let avro = ours.encode(&order).expect("the order");
    let json = serde_json::to_vec(&order).expect("the order");

    encode(report, &order, ours, &apache, &fast);
    decode(report, ours, &apache, &fast, &avro, &json);
    evolve(report, ours, &apache, &next, &avro);
}

/// The schema of [`OrderPlacedNext`].
fn next(mut schema: Value) -> Value {
    let fields = schema["fields"].as_array_mut().expect("a record");
    let at = |fields: &[Value], name: &str| {
        let found = fields.iter().position(|field| field["name"] == name);
        found.expect("a field")
    };
    fields.remove(at(fields, "channel"));
    let gift = json!({"name": "gift", "type": "boolean", "default": false});
    fields.insert(at(fields, "postal_code"), gift);
    // The first of the two defines the type that the other one names.
    let (freight, total) = (at(fields, "freight"), at(fields, "total"));
    let definition = fields[freight]["type"].take();
    fields[freight]["type"] = fields[total]["type"].take();
    fields[total]["type"] = definition;
    fields.swap(freight, total);
    schema
}

fn encode(
    report: &mut Report,
    order: &OrderPlaced,
    ours: &Schema,
    apache: &apache_avro::Schema,
    fast: &serde_avro_fast::Schema,
) {
    let encode = || ours.encode(order).expect("the order");
    let writer = GenericDatumWriter::builder(apache)
        .build()
        .expect("a writer");
    let theirs = || writer.write_ser_to_vec(order).expect("the order");
    assert_eq!(encode(), theirs());
    report.compare(
        "Avro encode",
        Target::Ratio(1.0),
        encode,
        "apache-avro, write_ser, writer reused",
        theirs,
    );
    let mut config = serde_avro_fast::ser::SerializerConfig::new(fast);
    report.compare(
        "Avro encode",
        Target::None,
        encode,
        "serde_avro_fast",
        || serde_avro_fast::to_datum_vec(order, &mut config).expect("the order"),
    );
    report.compare("Avro encode", Target::None, encode, "serde_json", || {
        serde_json::to_vec(order).expect("the order")
    });
}

fn decode(
    report: &mut Report,
    ours: &Schema,
    apache: &apache_avro::Schema,
    fast: &serde_avro_fast::Schema,
    avro: &[u8],
    json: &[u8],
) {
    let decoder = Decoder::new(ours, ours).expect("one schema");
    let decode = || decoder.decode::<OrderPlaced>(avro).expect("the order");
    let reader = GenericDatumReader::builder(apache)
        .build()
        .expect("a reader");
    report.compare(
        "Avro decode, one schema",
        Target::None,
        decode,
        "apache-avro, read_deser",
        || {
            reader
                .read_deser::<OrderPlaced>(&mut &avro[..])
                .expect("the order")
        },
    );
    report.compare(
        "Avro decode, one schema",
        Target::None,
        decode,
        "serde_avro_fast",
        || serde_avro_fast::from_datum_slice::<OrderPlaced>(avro, fast).expect("the order"),
    );
    report.compare(
        "Avro decode, one schema",
        Target::None,
        decode,
        "serde_json",
        || serde_json::from_slice::<OrderPlaced>(json).expect("the order"),
    );
}

/// serde_avro_fast has no reader's schema.
fn evolve(
    report: &mut Report,
    ours: &Schema,
    apache: &apache_avro::Schema,
    next: &Value,
    avro: &[u8],
) {
    let ours_next = Schema::from_json(next).expect("a schema");
    let decoder = Decoder::new(ours, &ours_next).expect("schemas that resolve");
    let decode = || decoder.decode::<OrderPlacedNext>(avro).expect("the order");
    let apache_next = apache_avro::Schema::parse(next).expect("a schema");
    let reader = GenericDatumReader::builder(apache)
        .reader_schema(&apache_next)
        .build()
        .expect("a reader");
    let theirs = || {
        let value = reader.read_value(&mut &avro[..]).expect("the order");
        apache_avro::from_value::<OrderPlacedNext>(&value).expect("the order")
    };
    assert_eq!(decode(), theirs());
    report.compare(
        "Avro decode, data of the version before",
        Target::Ratio(0.3),
        decode,
        "apache-avro, reader's schema, from_value",
        theirs,
    );
}
