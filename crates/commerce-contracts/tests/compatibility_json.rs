//! Every row of the rules for JSON Schema, in both directions and under both policies.
#![cfg(feature = "compatibility")]

use commerce_contracts::compatibility::json::{Policy, check};
use commerce_contracts::compatibility::{Direction, Mode, Report, Rule, Verdict};
use serde_json::{Value, json};

const CLOSED: Policy = Policy::WriterClosedReaderOpen;
const STRICT: Policy = Policy::Strict;

fn object(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

fn closed(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Asserts the two verdicts, and that every counterexample is accepted by the writer and refused by the reader, as a validator sees it.
fn expect(
    name: &str,
    old: &Value,
    new: &Value,
    policy: Policy,
    backward: Verdict,
    forward: Verdict,
) -> Report {
    let report = check(old, new, Mode::Full, policy);
    let of = |direction| {
        let findings = report
            .findings()
            .iter()
            .filter(|finding| finding.direction == direction);
        findings
            .map(|finding| finding.verdict)
            .max()
            .unwrap_or(Verdict::Compatible)
    };
    assert_eq!(
        of(Direction::Backward),
        backward,
        "{name}, backward, {policy:?}: {report}"
    );
    assert_eq!(
        of(Direction::Forward),
        forward,
        "{name}, forward, {policy:?}: {report}"
    );
    for finding in report.findings() {
        let Some(instance) = &finding.counterexample else {
            continue;
        };
        let (writer, reader) = if finding.direction == Direction::Backward {
            (old, new)
        } else {
            (new, old)
        };
        let accepts = |schema| {
            let options = jsonschema::options().should_validate_formats(true);
            options.build(schema).unwrap().is_valid(instance)
        };
        assert!(accepts(writer) && !accepts(reader), "{name}: {finding}");
        assert_eq!(finding.verdict, Verdict::Incompatible, "{name}: {finding}");
    }
    report
}

const OK: Verdict = Verdict::Compatible;
const NO: Verdict = Verdict::Incompatible;
const UNSURE: Verdict = Verdict::Unknown;

#[test]
fn properties_of_open_and_closed_objects() {
    let a = json!({"a": {"type": "string"}});
    let ab = json!({"a": {"type": "string"}, "b": {"type": "integer"}});
    let ab_default = json!({"a": {"type": "string"}, "b": {"type": "integer", "default": 1}});
    let ab_any = json!({"a": {"type": "string"}, "b": {}});
    let none = json!([]);
    let a_required = json!(["a"]);
    let both = json!(["a", "b"]);

    let cases: &[(&str, Value, Value, [Verdict; 2], [Verdict; 2])] = &[
        // name, old, new, [backward, forward] by default, the same under Strict
        (
            "add optional, open",
            object(a.clone(), none.clone()),
            object(ab.clone(), none.clone()),
            [OK, OK],
            [NO, OK],
        ),
        (
            "add optional, closed",
            closed(a.clone(), none.clone()),
            closed(ab.clone(), none.clone()),
            [OK, NO],
            [OK, NO],
        ),
        (
            "add required, open",
            object(a.clone(), none.clone()),
            object(ab.clone(), json!(["b"])),
            [NO, OK],
            [NO, OK],
        ),
        (
            "add required, closed",
            closed(a.clone(), none.clone()),
            closed(ab.clone(), json!(["b"])),
            [NO, NO],
            [NO, NO],
        ),
        (
            "add required with default, open",
            object(a.clone(), none.clone()),
            object(ab_default.clone(), json!(["b"])),
            [NO, OK],
            [NO, OK],
        ),
        (
            "add required with default, closed",
            closed(a.clone(), none.clone()),
            closed(ab_default, json!(["b"])),
            [NO, NO],
            [NO, NO],
        ),
        (
            "add {} to open",
            object(a.clone(), none.clone()),
            object(ab_any, none.clone()),
            [OK, OK],
            [OK, OK],
        ),
        (
            "remove, open",
            object(ab.clone(), none.clone()),
            object(a.clone(), none.clone()),
            [OK, OK],
            [OK, NO],
        ),
        (
            "remove, closed, optional",
            closed(ab.clone(), none.clone()),
            closed(a.clone(), none.clone()),
            [NO, OK],
            [NO, OK],
        ),
        (
            "remove, closed, required",
            closed(ab.clone(), both.clone()),
            closed(a.clone(), a_required.clone()),
            [NO, NO],
            [NO, NO],
        ),
        (
            "optional to required",
            object(ab.clone(), a_required),
            object(ab.clone(), both),
            [NO, OK],
            [NO, OK],
        ),
        (
            "close",
            object(a.clone(), none.clone()),
            closed(a.clone(), none.clone()),
            [OK, OK],
            [NO, OK],
        ),
        (
            "moves under additionalProperties that fits",
            closed(ab.clone(), none.clone()),
            json!({"type": "object", "properties": a, "additionalProperties": {"type": "number"}}),
            [OK, NO],
            [OK, NO],
        ),
        (
            "moves under patternProperties that does not fit",
            closed(ab, none.clone()),
            json!({"type": "object", "properties": a, "patternProperties": {"^b$": {"type": "string"}}, "additionalProperties": false}),
            [NO, NO],
            [NO, NO],
        ),
        (
            "an open map becomes closed",
            json!({"type": "object", "properties": a, "additionalProperties": true}),
            closed(a.clone(), none),
            [NO, OK],
            [NO, OK],
        ),
    ];
    for (name, old, new, default, strict) in cases {
        expect(name, old, new, CLOSED, default[0], default[1]);
        expect(name, old, new, STRICT, strict[0], strict[1]);
    }
}

#[test]
fn keywords_loosen_and_tighten() {
    // name, the looser schema, the tighter one, what tightening is
    let cases: &[(&str, Value, Value, Verdict)] = &[
        (
            "number to integer",
            json!({"type": "number"}),
            json!({"type": "integer"}),
            NO,
        ),
        (
            "a type less",
            json!({"type": ["string", "null"]}),
            json!({"type": "string"}),
            NO,
        ),
        (
            "an enum value less",
            json!({"enum": ["a", "b"]}),
            json!({"enum": ["a"]}),
            NO,
        ),
        (
            "enum added",
            json!({"type": "string"}),
            json!({"enum": ["a"]}),
            NO,
        ),
        ("const", json!({"enum": ["a", 1]}), json!({"const": 1}), NO),
        (
            "maximum",
            json!({"type": "integer", "maximum": 10}),
            json!({"type": "integer", "maximum": 9}),
            NO,
        ),
        (
            "maximum added",
            json!({"type": "integer"}),
            json!({"type": "integer", "maximum": 9}),
            NO,
        ),
        (
            "minimum",
            json!({"type": "number", "minimum": 0}),
            json!({"type": "number", "minimum": 0.5}),
            NO,
        ),
        (
            "exclusive",
            json!({"type": "number", "minimum": 0}),
            json!({"type": "number", "exclusiveMinimum": 0}),
            NO,
        ),
        (
            "exclusive maximum",
            json!({"type": "number", "exclusiveMaximum": 9}),
            json!({"type": "number", "exclusiveMaximum": 8}),
            NO,
        ),
        (
            "multipleOf",
            json!({"type": "integer", "multipleOf": 5}),
            json!({"type": "integer", "multipleOf": 10}),
            NO,
        ),
        (
            "multipleOf added",
            json!({"type": "number"}),
            json!({"type": "number", "multipleOf": 0.01}),
            NO,
        ),
        (
            "minLength",
            json!({"type": "string"}),
            json!({"type": "string", "minLength": 1}),
            NO,
        ),
        (
            "maxLength",
            json!({"type": "string", "maxLength": 10}),
            json!({"type": "string", "maxLength": 5}),
            NO,
        ),
        (
            "pattern added",
            json!({"type": "string"}),
            json!({"type": "string", "pattern": "^[A-Z]{3}$"}),
            NO,
        ),
        (
            "format added",
            json!({"type": "string"}),
            json!({"type": "string", "format": "uuid"}),
            NO,
        ),
        (
            "minItems",
            json!({"type": "array"}),
            json!({"type": "array", "minItems": 1}),
            NO,
        ),
        (
            "maxItems",
            json!({"type": "array", "maxItems": 3}),
            json!({"type": "array", "maxItems": 2}),
            NO,
        ),
        (
            "uniqueItems",
            json!({"type": "array"}),
            json!({"type": "array", "uniqueItems": true}),
            NO,
        ),
        (
            "items",
            json!({"type": "array", "items": {"type": "number"}}),
            json!({"type": "array", "items": {"type": "integer"}}),
            NO,
        ),
        (
            "contains added",
            json!({"type": "array"}),
            json!({"type": "array", "contains": {"type": "string"}}),
            NO,
        ),
        (
            "maxContains",
            json!({"type": "array", "contains": {"const": 1}}),
            json!({"type": "array", "contains": {"const": 1}, "maxContains": 1}),
            NO,
        ),
        (
            "tuple item, open",
            json!({"type": "array"}),
            json!({"type": "array", "prefixItems": [{"type": "string"}]}),
            NO,
        ),
        (
            "tuple item, closed",
            json!({"type": "array", "prefixItems": [{}, {}], "items": false}),
            json!({"type": "array", "prefixItems": [{}], "items": false}),
            NO,
        ),
        (
            "minProperties",
            json!({"type": "object"}),
            json!({"type": "object", "minProperties": 1}),
            NO,
        ),
        (
            "maxProperties",
            json!({"type": "object"}),
            json!({"type": "object", "maxProperties": 1}),
            NO,
        ),
        (
            "propertyNames",
            json!({"type": "object"}),
            json!({"type": "object", "propertyNames": {"maxLength": 3}}),
            NO,
        ),
        (
            "dependentRequired",
            json!({"type": "object", "properties": {"a": {}, "b": {}}}),
            json!({"type": "object", "properties": {"a": {}, "b": {}}, "dependentRequired": {"a": ["b"]}}),
            NO,
        ),
        (
            "dependentSchemas",
            json!({"type": "object", "properties": {"a": {}, "b": {}}}),
            json!({"type": "object", "properties": {"a": {}, "b": {}}, "dependentSchemas": {"a": {"required": ["b"]}}}),
            NO,
        ),
        (
            "allOf branch added",
            json!({"allOf": [{"type": "integer"}]}),
            json!({"allOf": [{"type": "integer"}, {"minimum": 3}]}),
            NO,
        ),
        (
            "anyOf branch less",
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
            json!({"anyOf": [{"type": "string"}]}),
            NO,
        ),
        (
            "oneOf branch less",
            json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
            json!({"oneOf": [{"type": "string"}]}),
            NO,
        ),
        (
            "anyOf to overlapping oneOf",
            json!({"anyOf": [{"type": "number"}, {"type": "integer"}]}),
            json!({"oneOf": [{"type": "number"}, {"type": "integer"}]}),
            NO,
        ),
        (
            "not",
            json!({"type": "string"}),
            json!({"type": "string", "not": {"const": "a"}}),
            NO,
        ),
        (
            "if",
            json!({"type": "integer"}),
            json!({"type": "integer", "if": {"minimum": 5}, "then": {"multipleOf": 2}}),
            NO,
        ),
        (
            "anything to something",
            json!({}),
            json!({"type": "string"}),
            NO,
        ),
        ("true to false", json!(true), json!(false), NO),
        (
            "unevaluatedProperties",
            json!({"properties": {"a": {}}, "additionalProperties": true}),
            json!({"properties": {"a": {}}, "unevaluatedProperties": false}),
            NO,
        ),
        (
            "unevaluatedItems",
            json!({"type": "array", "prefixItems": [{}]}),
            json!({"type": "array", "prefixItems": [{}], "unevaluatedItems": false}),
            NO,
        ),
    ];
    for (name, looser, tighter, verdict) in cases {
        for policy in [CLOSED, STRICT] {
            let report = expect(name, looser, tighter, policy, *verdict, OK);
            let shown = report
                .findings()
                .iter()
                .any(|finding| finding.counterexample.is_some());
            assert!(shown, "{name}: no counterexample in {report}");
            expect(name, tighter, looser, policy, OK, *verdict);
            expect(name, looser, looser, policy, OK, OK);
            expect(name, tighter, tighter, policy, OK, OK);
        }
    }
}

#[test]
fn what_changes_nothing_is_compatible() {
    let money = json!({"type": "object", "properties": {"minor": {"type": "integer"}}, "required": ["minor"]});
    let cases: &[(&str, Value, Value)] = &[
        (
            "annotations",
            json!({"type": "string", "$id": "urn:a", "title": "A", "examples": ["x"]}),
            json!({"type": "string", "description": "a text", "default": "x"}),
        ),
        (
            "inline and reference",
            json!({"type": "object", "properties": {"total": money}}),
            json!({"type": "object", "properties": {"total": {"$ref": "#/$defs/Money"}}, "$defs": {"Money": money}}),
        ),
        (
            "definitions elsewhere",
            json!({"$ref": "#/definitions/A", "definitions": {"A": money}}),
            json!({"$ref": "#/$defs/B", "$defs": {"B": money}}),
        ),
        (
            "oneOf and anyOf of exclusive branches",
            json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
        ),
        (
            "type list and anyOf",
            json!({"type": ["string", "null"]}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ),
        (
            "const and enum",
            json!({"const": "a"}),
            json!({"enum": ["a"]}),
        ),
        (
            "the drafts' forms of a tuple",
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [{"type": "string"}], "additionalItems": false}),
            json!({"type": "array", "prefixItems": [{"type": "string"}], "items": false}),
        ),
        (
            "the drafts' forms of dependencies",
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "dependencies": {"a": ["b"]}}),
            json!({"type": "object", "dependentRequired": {"a": ["b"]}}),
        ),
        (
            "the drafts' forms of exclusive limits",
            json!({"type": "number", "minimum": 1, "exclusiveMinimum": true}),
            json!({"type": "number", "exclusiveMinimum": 1}),
        ),
        (
            "whole limits of integers",
            json!({"type": "integer", "exclusiveMinimum": 0}),
            json!({"type": "integer", "minimum": 1}),
        ),
        (
            "a list in a list",
            json!({"$ref": "#/$defs/T", "$defs": {"T": {"type": "array", "items": {"$ref": "#/$defs/T"}}}}),
            json!({"type": "array", "items": {"$ref": "#"}}),
        ),
        (
            "unsatisfiable",
            json!({"type": "integer", "minimum": 2, "maximum": 1}),
            json!(false),
        ),
        (
            "the same condition",
            json!({"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}),
            json!({"type": "object", "else": {"required": ["c"]}, "if": {"required": ["a"]}, "then": {"required": ["b"]}}),
        ),
    ];
    for (name, old, new) in cases {
        for policy in [CLOSED, STRICT] {
            expect(name, old, new, policy, OK, OK);
        }
    }
}

#[test]
fn tagged_unions_grow() {
    let variant = |tag: &str, field: &str| json!({"type": "object", "properties": {"type": {"const": tag}, field: {"type": "integer"}}, "required": ["type", field]});
    let old = json!({"oneOf": [variant("pix", "key"), variant("card", "last")]});
    let new = json!({"oneOf": [variant("pix", "key"), variant("card", "last"), variant("boleto", "bar")]});
    expect("variant added", &old, &new, CLOSED, OK, NO);
    expect("variant added", &old, &new, STRICT, OK, NO);

    let report = expect(
        "variant changed",
        &old,
        &json!({"oneOf": [variant("pix", "id"), variant("card", "last")]}),
        CLOSED,
        NO,
        NO,
    );
    let finding = &report.findings()[0];
    assert_eq!(
        (finding.rule, finding.old.as_str(), finding.new.as_str()),
        (
            Rule::RequiredAttributeAdded,
            "/oneOf/0",
            "/oneOf/0/required"
        ),
        "{report}"
    );
}

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
        let report = check(old, new, Mode::Backward, CLOSED);
        assert_eq!(report.verdict(), UNSURE, "{name}: {report}");
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
        let report = check(&json!({}), &schema, Mode::Backward, CLOSED);
        let finding = &report.findings()[0];
        assert_eq!(
            (finding.rule, finding.verdict, finding.new.as_str()),
            (Rule::InvalidSchema, NO, place),
            "{finding}"
        );
    }
}

#[test]
fn all_findings_have_their_places() {
    let old = json!({"type": "object", "properties": {
        "id": {"type": "string"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
        "state": {"enum": ["open", "paid", "lost"]},
    }, "required": ["id"], "$defs": {"Line": {"type": "object", "properties": {"quantity": {"type": "integer"}}}}});
    let new = json!({"type": "object", "properties": {
        "id": {"type": "string", "maxLength": 3},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"quantity": {"type": "integer", "minimum": 1}}}},
        "state": {"enum": ["open", "paid"]},
    }, "required": ["id", "state"]});
    let report = check(&old, &new, Mode::Backward, CLOSED);
    let found: Vec<(Rule, &str, &str)> = report
        .findings()
        .iter()
        .map(|finding| (finding.rule, finding.old.as_str(), finding.new.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (Rule::RequiredAttributeAdded, "", "/required"),
            (
                Rule::MaxLengthAdded,
                "/properties/id",
                "/properties/id/maxLength"
            ),
            (
                Rule::MinimumAdded,
                "/$defs/Line/properties/quantity",
                "/properties/lines/items/properties/quantity/minimum"
            ),
            (
                Rule::EnumArrayNarrowed,
                "/properties/state",
                "/properties/state"
            ),
        ]
    );
    assert!(
        report
            .findings()
            .iter()
            .all(|finding| finding.counterexample.is_some()),
        "{report}"
    );
    let as_json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&as_json["verdict"], &as_json["findings"][0]["rule"]),
        (&json!("INCOMPATIBLE"), &json!("REQUIRED_ATTRIBUTE_ADDED"))
    );
    assert!(
        report
            .to_string()
            .contains("REQUIRED_ATTRIBUTE_ADDED (incompatible)")
    );
}

#[test]
fn what_is_written_is_paired_with_what_is_read() {
    use commerce_contracts::compatibility::json::Schemas;
    // As schemars describes a decimal: text when written, text or a number when read.
    let text = json!({"type": "string"});
    let either = json!({"type": ["string", "number"]});
    let decimal = Schemas {
        on_write: &text,
        on_read: &either,
    };
    assert!(check(decimal, decimal, Mode::Full, CLOSED).is_compatible());
    // A version that reads numbers only cannot read what the old one writes, though the old one would read numbers.
    let number = json!({"type": "number"});
    let report = check(decimal, &number, Mode::Full, CLOSED);
    let directions: Vec<Direction> = report
        .findings()
        .iter()
        .map(|finding| finding.direction)
        .collect();
    assert_eq!(directions, [Direction::Backward]);
}
