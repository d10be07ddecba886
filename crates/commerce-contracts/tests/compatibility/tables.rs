//! The changes of `json.json` and `avro.json`, and what is found about each: verdict, rule, the place in the old schema and in the new.

use commerce_contracts::compatibility::json::Policy;
use commerce_contracts::compatibility::{Direction, Finding, Mode, Report, Verdict, avro, json};
use serde_json::{Map, Value};

fn rows(table: &str) -> Vec<Map<String, Value>> {
    let groups: Map<String, Value> = serde_json::from_str(table).unwrap();
    let groups: Vec<Vec<Map<String, Value>>> = groups
        .into_iter()
        .map(|(_, rows)| serde_json::from_value(rows).unwrap())
        .collect();
    groups.concat()
}

fn line(finding: &Finding) -> String {
    let place = |pointer: &str| if pointer.is_empty() { "root" } else { pointer }.to_owned();
    format!(
        "{} {}: {} -> {}",
        finding.verdict,
        finding.rule,
        place(&finding.old),
        place(&finding.new)
    )
}

fn assert_found(report: &Report, direction: Direction, expected: &Value, row: &str) {
    let found: Vec<String> = report
        .findings()
        .iter()
        .filter(|finding| finding.direction == direction)
        .map(line)
        .collect();
    let expected: Vec<String> = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(found, expected, "{row}, {direction}: {report}");
}

/// The writer's schema accepts the counterexample and the reader's refuses it, as a validator sees it.
fn assert_counterexample(finding: &Finding, old: &Value, new: &Value) {
    let (writer, reader) = match finding.direction {
        Direction::Backward => (old, new),
        Direction::Forward => (new, old),
    };
    let Some(instance) = &finding.counterexample else {
        assert_eq!(finding.verdict, Verdict::Unknown, "no example: {finding}");
        return;
    };
    assert_eq!(finding.verdict, Verdict::Incompatible, "{finding}");
    let accepts = |schema| {
        let options = jsonschema::options().should_validate_formats(true);
        options.build(schema).unwrap().is_valid(instance)
    };
    assert!(accepts(writer) && !accepts(reader), "{finding}");
}

#[test]
fn every_change_of_json_schemas_is_judged() {
    let rows = rows(include_str!("json.json"));
    for row in &rows {
        let change = row["change"].as_str().unwrap();
        let (old, new) = (&row["old"], &row["new"]);
        for policy in [Policy::WriterClosedReaderOpen, Policy::Strict] {
            let of = |direction: &str| {
                let strict = row.get(&format!("strict {direction}"));
                strict
                    .filter(|_| policy == Policy::Strict)
                    .unwrap_or(&row[direction])
            };
            let report = json::check(old, new, Mode::Full, policy);
            let name = format!("{change}, {policy:?}");
            assert_found(&report, Direction::Backward, of("backward"), &name);
            assert_found(&report, Direction::Forward, of("forward"), &name);
            for finding in report.findings() {
                assert_counterexample(finding, old, new);
            }
        }
    }
    assert!(rows.len() > 90, "{} rows", rows.len());
}

#[test]
fn every_change_of_avro_schemas_is_judged() {
    let rows = rows(include_str!("avro.json"));
    for row in &rows {
        let change = row["change"].as_str().unwrap();
        let report = avro::check(&row["old"], &row["new"], Mode::Full);
        assert_found(&report, Direction::Backward, &row["backward"], change);
        assert_found(&report, Direction::Forward, &row["forward"], change);
    }
    assert!(rows.len() > 60, "{} rows", rows.len());
}

#[test]
fn a_schema_that_stays_is_compatible_unless_nothing_can_be_said_about_it() {
    for row in rows(include_str!("json.json")) {
        for schema in [&row["old"], &row["new"]] {
            let report = json::check(schema, schema, Mode::Full, Policy::Strict);
            let text = schema.to_string();
            let outside = text.contains("example.com") || text.contains("draft-04");
            assert_ne!(report.verdict(), Verdict::Incompatible, "{schema}");
            let opaque = outside || text.contains("dynamicRef");
            assert!(report.is_compatible() || opaque, "{schema}: {report}");
        }
    }
    for row in rows(include_str!("avro.json")) {
        for schema in [&row["old"], &row["new"]] {
            let report = avro::check(schema, schema, Mode::Full);
            // A default that does not fit is wrong from the start, and so is an int behind a double: by the letter of the
            // specification it is read as one.
            let change = row["change"].as_str().unwrap();
            let wrong = change.contains("does not fit")
                || change.starts_with("default of another branch")
                || change.contains("of the same type means something else");
            assert!(report.is_compatible() || wrong, "{schema}: {report}");
        }
    }
}
