//! Random Avro schemas, random edits of them, and random data, read by two readers that know nothing of the checker: the resolving
//! reader of apache-avro, and resolution of values by the text of the specification, which minds names and logical types.
//!
//! apache-avro is not asked where it is known not to do what the specification says: it does not know the aliases of fields.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use commerce_contracts::compatibility::{Mode, Verdict, avro::check};
use fastrand::Rng;
use serde_json::Value;

use self::data::datum;
use self::edits::edit;
use self::schemas::Maker;
use self::specification::Specification;
use super::Tally;

mod data;
mod edits;
mod schemas;
mod specification;

pub(crate) fn run(seed: u64, pairs: u64, tally: &mut Tally) {
    for index in 0..pairs {
        pair(seed.wrapping_add(index), tally);
    }
}

fn pair(seed: u64, tally: &mut Tally) {
    let mut rng = Rng::with_seed(seed);
    let mut maker = Maker::after(0);
    let old = maker.record(&mut rng, 3);
    let mut new = old.clone();
    for _ in 0..rng.usize(..5) {
        edit(&mut rng, &mut new);
    }
    let (writer, reader) = if rng.bool() { (old, new) } else { (new, old) };
    let (Ok(on_write), Ok(on_read)) = (Schema::parse(&writer), Schema::parse(&reader)) else {
        tally.skipped += 1;
        return;
    };
    let report = check(&writer, &reader, Mode::Backward);
    tally.count(report.verdict());
    if report.verdict() != Verdict::Compatible {
        return;
    }
    let asks_apache = !reader.to_string().contains("\"aliases\":[\"f_");
    let (mut writer_names, mut reader_names) = (HashMap::new(), HashMap::new());
    names(&writer, &mut writer_names);
    names(&reader, &mut reader_names);
    let mut tried = 0;
    for _ in 0..12 {
        let Some(datum) = datum(&mut rng, &writer, &writer_names, 0) else {
            continue;
        };
        let bytes = match GenericDatumWriter::builder(&on_write)
            .build()
            .and_then(|writer| writer.write_value_to_vec(datum.clone()))
        {
            Ok(bytes) => bytes,
            Err(error) => {
                tally.fail(format!(
                    "seed {seed}: the generator made {datum:?} which {writer} cannot write: {error}"
                ));
                return;
            }
        };
        tried += 1;
        let by_text = Specification {
            writer: &writer_names,
            reader: &reader_names,
        }
        .read(&datum, &writer, &reader);
        let by_apache = if asks_apache {
            let reader = GenericDatumReader::builder(&on_write)
                .reader_schema(&on_read)
                .build();
            reader
                .and_then(|reader| reader.read_value(&mut bytes.as_slice()))
                .map(drop)
                .map_err(|error| error.to_string())
        } else {
            Ok(())
        };
        for (who, answer) in [("the specification", by_text), ("apache-avro", by_apache)] {
            if let Err(error) = answer {
                tally.fail(format!("seed {seed}: passed a change that breaks {datum:?} for {who}: {error}\n writer {writer}\n reader {reader}"));
                return;
            }
        }
    }
    tally.instances += tried;
    tally.passed_with_instances += u64::from(tried > 0);
}
fn names<'a>(schema: &'a Value, all: &mut HashMap<String, &'a Value>) {
    let mut places_of = Vec::new();
    edits::places(schema, "", &mut places_of);
    for pointer in places_of {
        let one = schema.pointer(&pointer).unwrap();
        if let Some(name) = one.get("name").and_then(Value::as_str) {
            all.insert(name.to_owned(), one);
        }
    }
}

fn resolved<'a>(schema: &'a Value, names: &HashMap<String, &'a Value>) -> &'a Value {
    schema
        .as_str()
        .and_then(|name| names.get(name).copied())
        .unwrap_or(schema)
}

fn kind(schema: &Value) -> &str {
    match schema {
        Value::String(name) => name,
        Value::Array(_) => "union",
        other => other["type"].as_str().unwrap(),
    }
}
