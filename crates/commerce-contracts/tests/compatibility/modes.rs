//! Which versions are checked against which, and in which direction.

use commerce_contracts::compatibility::json::Policy;
use commerce_contracts::compatibility::{Direction, History, Mode};
use serde_json::{Value, json};

const MODES: [Mode; 6] = [
    Mode::Backward,
    Mode::BackwardTransitive,
    Mode::Forward,
    Mode::ForwardTransitive,
    Mode::Full,
    Mode::FullTransitive,
];

/// What each mode finds: the version and the direction.
fn found(history: &History, new: &Value) -> Vec<Vec<(String, Direction)>> {
    let of_mode = |mode| {
        let report = history.check(new, mode);
        let of_finding = report
            .findings()
            .iter()
            .map(|finding| (finding.version.clone().unwrap(), finding.direction));
        of_finding.collect()
    };
    MODES.into_iter().map(of_mode).collect()
}

fn at(version: &str, direction: Direction) -> (String, Direction) {
    (version.to_owned(), direction)
}

#[test]
fn avro_versions_are_checked_as_the_mode_says() {
    let record = |fields: &[Value]| json!({"type": "record", "name": "Order", "fields": fields});
    let with_default = json!({"name": "channel", "type": "string", "default": "shop"});
    let without = json!({"name": "channel", "type": "string"});
    let mut history = History::avro();
    history.push("v1", record(&[]));
    history.push("v2", record(std::slice::from_ref(&with_default)));
    // v2 wrote the field, v1 never did; v1 and v2 read without it.
    let only_v1 = vec![at("v1", Direction::Backward)];
    assert_eq!(
        found(&history, &record(&[without])),
        [vec![], only_v1.clone(), vec![], vec![], vec![], only_v1]
    );

    // Reading and writing are told apart: v1 has the field without a default.
    let mut history = History::avro();
    let id = json!({"name": "id", "type": "string"});
    let with_id_default = json!({"name": "id", "type": "string", "default": ""});
    history.push("v1", record(std::slice::from_ref(&id)));
    history.push("v2", record(&[with_id_default]));
    let only_v1 = vec![at("v1", Direction::Forward)];
    assert_eq!(
        found(&history, &record(&[])),
        [vec![], vec![], vec![], only_v1.clone(), vec![], only_v1]
    );
}

#[test]
fn json_versions_are_checked_as_the_mode_says() {
    for policy in [Policy::WriterClosedReaderOpen, Policy::Strict] {
        let mut history = History::json(policy);
        history.push("v1", json!({"type": "string", "maxLength": 20}));
        history.push("v2", json!({"type": "string", "maxLength": 10}));
        let (back, forth) = (Direction::Backward, Direction::Forward);
        // Between the two: v1 wrote longer texts, v2 reads shorter ones.
        assert_eq!(
            found(&history, &json!({"type": "string", "maxLength": 15})),
            [
                vec![],
                vec![at("v1", back)],
                vec![at("v2", forth)],
                vec![at("v2", forth)],
                vec![at("v2", forth)],
                vec![at("v2", forth), at("v1", back)],
            ]
        );
    }
}

#[test]
fn the_policy_of_a_history_counts() {
    let v1 = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let v2 =
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    for (policy, compatible) in [
        (Policy::WriterClosedReaderOpen, true),
        (Policy::Strict, false),
    ] {
        let mut history = History::json(policy);
        history.push("v1", v1.clone());
        let report = history.check(&v2, Mode::Full);
        assert_eq!(report.is_compatible(), compatible, "{policy:?}: {report}");
    }
}

#[test]
fn the_first_version_is_compatible_with_nothing_before_it() {
    for mode in MODES {
        assert!(History::avro().check(&json!("int"), mode).is_compatible());
        let history = History::json(Policy::Strict);
        assert!(history.check(&json!({}), mode).is_compatible());
    }
}

#[test]
fn what_is_written_and_what_is_read_are_kept_apart_in_a_history() {
    // As schemars describes a decimal: text when written, text or a number when read.
    let text = json!({"type": "string"});
    let either = json!({"type": ["string", "number"]});
    let mut history = History::json(Policy::default());
    history.push_both("v1", text.clone(), either);
    // Numbers could be read by v1, but were never written by it.
    let number = json!({"type": "number"});
    let by_mode = found(&history, &number);
    assert_eq!(by_mode[0], [at("v1", Direction::Backward)]);
    assert_eq!(by_mode[2], []);
    assert!(history.check(&text, Mode::Full).is_compatible());
}
