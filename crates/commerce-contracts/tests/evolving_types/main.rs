//! Types of Rust that change, judged by the checker and read as they are: what one version's `event()` and `event_avro()` write, and
//! the checker passes for another version, that version's `decode` reads. Nothing here knows how the checker reads its policy.
#![cfg(all(
    feature = "compatibility",
    feature = "validation",
    feature = "vocabulary"
))]

mod sample;
mod versions;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use commerce_contracts::avro::{Decoder, Schema};
use commerce_contracts::compatibility::json::Policy;
use commerce_contracts::compatibility::{Mode, Verdict, avro, json};
use commerce_contracts::{CloudEvent, Contract, DecodeError, Event};
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::sample::Sample;

/// How many values of each version every version is given.
const VALUES: usize = 24;

const BOTH: (bool, bool) = (true, true);
const NEW_READS_OLD: (bool, bool) = (true, false);
const OLD_READS_NEW: (bool, bool) = (false, true);
const NEITHER: (bool, bool) = (false, false);

/// Edits, and who reads whom after them by both schemas: what the checkers are to pass, and what not.
const EDITS: &[(&str, &str, (bool, bool))] = &[
    ("bare", "note", OLD_READS_NEW),
    ("bare", "note_or_null", BOTH),
    ("bare", "note_left_out", BOTH),
    ("bare", "note_by_default", BOTH),
    ("bare", "closed", BOTH),
    ("closed", "note_left_out", NEW_READS_OLD),
    ("note", "note_closed", BOTH),
    ("note", "note_boxed", BOTH),
    ("note", "note_or_null", NEW_READS_OLD),
    ("note", "note_left_out", NEW_READS_OLD),
    ("note", "note_by_default", BOTH),
    ("note", "note_often_left_out", NEW_READS_OLD),
    ("note_or_null", "note_left_out", BOTH),
    ("note", "note_and_remark", OLD_READS_NEW),
    ("note", "note_and_remark_by_default", BOTH),
    ("note", "remark", NEITHER),
    ("note", "remark_once_note", NEW_READS_OLD),
    ("note", "remark_once_note_or_word", NEW_READS_OLD),
    ("note_or_null", "remark_once_note_by_default", OLD_READS_NEW),
    ("note_and_remark", "remark_once_note", NEITHER),
    ("note", "remark_written_as_note", BOTH),
    ("middle", "large", NEW_READS_OLD),
    ("small", "middle", NEW_READS_OLD),
    ("middle", "double", NEW_READS_OLD),
    ("middle", "large_or_null", NEW_READS_OLD),
    ("large", "large_by_default", BOTH),
    ("large", "large_left_out", NEW_READS_OLD),
    ("few", "fewer", OLD_READS_NEW),
    ("few", "middle_unsigned", NEW_READS_OLD),
    ("middle", "text", NEITHER),
    ("two_grades", "three_grades", NEW_READS_OLD),
    ("three_grades", "grade_or_null", NEW_READS_OLD),
    ("grades", "more_grades", NEW_READS_OLD),
    ("grades_by_name", "more_grades_by_name", NEW_READS_OLD),
    ("seal", "longer_seal", NEITHER),
    ("integers", "longs", NEW_READS_OLD),
    ("longs", "longs_or_nulls", NEW_READS_OLD),
    ("longs", "set_of_longs", OLD_READS_NEW),
    ("map_of_integers", "map_of_longs", NEW_READS_OLD),
    ("map_of_integers", "map_by_id", OLD_READS_NEW),
    ("map_by_id", "map_by_day", NEITHER),
    ("map_of_integers", "map_by_day", OLD_READS_NEW),
    ("map_by_letter", "map_of_integers", NEW_READS_OLD),
    ("map_by_number", "map_of_integers", NEW_READS_OLD),
    ("map_by_id_in_boxes", "map_by_name_in_boxes", NEITHER),
    ("money", "money_or_null", NEW_READS_OLD),
    ("line", "line_with_more", NEW_READS_OLD),
    ("line", "line_with_less", NEW_READS_OLD),
    ("lines", "lines_with_more", NEW_READS_OLD),
    ("lines", "lines_with_renamed", NEW_READS_OLD),
    ("tree", "tree_with_more", NEW_READS_OLD),
    ("tree", "tree_with_renamed", NEW_READS_OLD),
];

/// A type, without its type.
struct Version {
    name: &'static str,
    contract: &'static Contract,
    write: fn(&mut TestRunner) -> Written,
    read: fn(&CloudEvent) -> Result<(), DecodeError>,
    read_avro: fn(&CloudEvent, &Decoder) -> Result<(), DecodeError>,
    decoder: fn(&Schema) -> Result<Decoder, DecodeError>,
}

struct Written {
    shown: String,
    json: CloudEvent,
    avro: CloudEvent,
}

impl Version {
    fn of<E: Event + Sample>(name: &'static str) -> Self {
        Self {
            name,
            contract: E::contract(),
            write: |runner| {
                let value = E::sample().new_tree(runner).unwrap().current();
                Written {
                    shown: serde_json::to_string(&value).unwrap(),
                    json: value.event().unwrap(),
                    avro: value.event_avro().unwrap(),
                }
            },
            read: |event| event.decode::<E>().map(drop),
            read_avro: |event, decoder| event.decode_avro::<E>(decoder).map(drop),
            decoder: |writer| E::contract().avro_decoder_for(writer),
        }
    }

    fn avro(&self) -> &'static Schema {
        self.contract.avro_schema().unwrap()
    }

    /// Reads what the other version wrote, as far as the checkers passed it.
    fn reads(&self, writer: &Self, verdicts: Verdicts, written: &[Written]) -> Result<(), String> {
        if verdicts.json != Verdict::Compatible {
            return Ok(());
        }
        for one in written {
            // As it travels.
            let event = CloudEvent::from_json(&one.json.to_json()).unwrap();
            (self.read)(&event).map_err(|error| format!("JSON, {}: {error}", one.shown))?;
        }
        // What was read from Avro must keep the promises of the JSON Schema too, so both must pass.
        if verdicts.avro != Verdict::Compatible {
            return Ok(());
        }
        let decoder = (self.decoder)(writer.avro()).map_err(|error| error.to_string())?;
        for one in written {
            (self.read_avro)(&one.avro, &decoder)
                .map_err(|error| format!("Avro, {}: {error}", one.shown))?;
        }
        Ok(())
    }

    /// What the checkers say of this version as the reader of the other's events.
    fn verdicts(&self, writer: &Self) -> Verdicts {
        let policy = Policy::default();
        let json = json::check(writer.contract, self.contract, Mode::Backward, policy);
        let schemas = [writer.avro().to_json(), self.avro().to_json()];
        let avro = avro::check(&schemas[0], &schemas[1], Mode::Backward);
        Verdicts {
            json: json.verdict(),
            avro: avro.verdict(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Verdicts {
    json: Verdict,
    avro: Verdict,
}

#[test]
fn what_is_passed_is_read() {
    let mut runner = TestRunner::deterministic();
    let mut pairs = 0;
    let mut passed = BTreeSet::new();
    let mut broken = String::new();
    for versions in versions::groups() {
        for writer in &versions {
            let written: Vec<Written> = (0..VALUES).map(|_| (writer.write)(&mut runner)).collect();
            for reader in &versions {
                pairs += 1;
                let verdicts = reader.verdicts(writer);
                if let Err(refused) = reader.reads(writer, verdicts, &written) {
                    let _ = writeln!(broken, "{} -> {}: {refused}", writer.name, reader.name);
                }
                if verdicts.json == Verdict::Compatible && verdicts.avro == Verdict::Compatible {
                    passed.insert((writer.name, reader.name));
                }
            }
        }
    }
    assert!(broken.is_empty(), "passed, and not read:\n{broken}");
    // A checker that passes nothing breaks nobody.
    println!("{pairs} pairs, {} of them passed: {passed:?}", passed.len());
    let surprises: Vec<_> = EDITS
        .iter()
        .map(|(old, new, expected)| {
            let found = (
                passed.contains(&(*old, *new)),
                passed.contains(&(*new, *old)),
            );
            (*old, *new, *expected, found)
        })
        .filter(|(_, _, expected, found)| expected != found)
        .collect();
    assert!(surprises.is_empty(), "expected, and found: {surprises:#?}");
}
