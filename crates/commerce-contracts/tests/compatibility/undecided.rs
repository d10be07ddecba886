//! What the checker leaves to a person, and schemas that are none.

use commerce_contracts::compatibility::json::{Policy, check};
use commerce_contracts::compatibility::{Mode, Rule, Verdict, avro};
use serde_json::{Value, json};

#[test]
fn what_cannot_be_decided_is_unknown() {
    let cases: &[(&str, Value, Value)] = &[
        (
            "outside",
            json!({"$ref": "https://example.com/a.json"}),
            json!({"$ref": "https://example.com/a.json"}),
        ),
        ("circle", json!({"type": "string"}), json!({"$ref": "#"})),
        (
            "dynamic",
            json!({"type": "string"}),
            json!({"$dynamicRef": "#x"}),
        ),
        (
            "pattern with look-ahead",
            json!({"type": "string", "pattern": "^(?=a)"}),
            json!({"type": "string", "pattern": "^(?=a)b?"}),
        ),
        (
            "content",
            json!({"type": "string"}),
            json!({"type": "string", "contentEncoding": "base64"}),
        ),
        (
            "another draft",
            json!({"type": "string"}),
            json!({"$schema": "http://json-schema.org/draft-04/schema#", "type": "string"}),
        ),
        (
            "a number format",
            json!({"type": "integer"}),
            json!({"type": "integer", "format": "int32"}),
        ),
    ];
    for (name, old, new) in cases {
        let report = check(old, new, Mode::Backward, Policy::default());
        assert_eq!(report.verdict(), Verdict::Unknown, "{name}: {report}");
        assert!(!report.is_compatible() && report.is_compatible_allowing_unknown());
    }
}

#[test]
fn schemas_that_are_none_are_refused_with_their_place() {
    let cases = [
        (
            json!({"properties": {"a": {"type": "text"}}}),
            "/properties/a/type",
        ),
        (json!({"minLength": -1}), "/minLength"),
        (json!({"items": [{}]}), "/items"),
        (json!({"anyOf": {}}), "/anyOf"),
        (json!({"required": "a"}), "/required"),
        (json!({"$defs": {}, "allOf": [3]}), "/allOf/0"),
    ];
    for (schema, place) in cases {
        let report = check(&json!({}), &schema, Mode::Backward, Policy::default());
        let finding = &report.findings()[0];
        assert_eq!(
            (finding.rule, finding.verdict, finding.new.as_str()),
            (Rule::InvalidSchema, Verdict::Incompatible, place),
            "{finding}"
        );
    }
}

#[test]
fn a_writer_in_a_circle_is_not_trusted() {
    let report = check(
        &json!({"$ref": "#"}),
        &json!({"type": "string"}),
        Mode::Backward,
        Policy::default(),
    );
    assert_eq!(report.verdict(), Verdict::Incompatible, "{report}");
}

#[test]
fn avro_schemas_that_are_none_are_refused_with_their_place() {
    let record = |field: Value| json!({"type": "record", "name": "R", "fields": [field]});
    let cases = [
        (json!(3), ""),
        (json!("text"), ""),
        (json!(["int", "int"]), "/1"),
        (json!(["int", ["long"]]), "/1"),
        (json!({"type": "array"}), ""),
        (json!({"type": "fixed", "name": "F"}), "/size"),
        (
            json!({"type": "record", "name": "1", "fields": []}),
            "/name",
        ),
        (
            json!({"type": "record", "name": "int", "fields": []}),
            "/name",
        ),
        (record(json!({"name": "a"})), "/fields/0"),
        (
            record(json!({"name": "a-b", "type": "int"})),
            "/fields/0/name",
        ),
        (
            record(json!({"name": "a", "type": "Later"})),
            "/fields/0/type",
        ),
        (
            record(json!({"name": "a", "type": "int", "aliases": "b"})),
            "/fields/0/aliases",
        ),
        (
            record(json!({"name": "a", "type": {"type": "fixed", "name": "R", "size": 1}})),
            "/fields/0/type/name",
        ),
        (
            json!({"type": "enum", "name": "E", "symbols": ["A", "A"]}),
            "/symbols/1",
        ),
        (
            json!({"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}),
            "/default",
        ),
    ];
    for (schema, place) in cases {
        let report = avro::check("null", &schema, Mode::Backward);
        let finding = &report.findings()[0];
        assert_eq!(
            (finding.rule, finding.verdict, finding.new.as_str()),
            (Rule::InvalidSchema, Verdict::Incompatible, place),
            "{finding}"
        );
    }
    let report = avro::check("null", "{", Mode::Full);
    assert_eq!(report.findings()[0].rule, Rule::InvalidSchema);
    // A union of nothing is a schema, of which there is no data.
    let report = avro::check("null", "[]", Mode::Backward);
    let finding = &report.findings()[0];
    assert_eq!(
        (finding.rule, finding.verdict),
        (Rule::MissingUnionBranch, Verdict::Incompatible)
    );
}
