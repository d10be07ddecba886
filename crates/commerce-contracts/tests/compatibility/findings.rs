//! What a report tells.

use commerce_contracts::compatibility::json::{Policy, Schemas, check};
use commerce_contracts::compatibility::{Direction, Mode, Rule};
use serde_json::json;

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
    let report = check(&old, &new, Mode::Backward, Policy::default());
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
    // As schemars describes a decimal: text when written, text or a number when read.
    let text = json!({"type": "string"});
    let either = json!({"type": ["string", "number"]});
    let decimal = Schemas {
        on_write: &text,
        on_read: &either,
    };
    assert!(check(decimal, decimal, Mode::Full, Policy::default()).is_compatible());
    // A version that reads numbers only cannot read what the old one writes, though the old one would read numbers.
    let number = json!({"type": "number"});
    let report = check(decimal, &number, Mode::Full, Policy::default());
    let directions: Vec<Direction> = report
        .findings()
        .iter()
        .map(|finding| finding.direction)
        .collect();
    assert_eq!(directions, [Direction::Backward]);
}
