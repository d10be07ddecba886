//! Two versions of a schema, both from elsewhere: what the checker and the gate say of them.

use serde_json::Value;

use crate::avro::{Decoder, Schema};
use crate::compatibility::json::Policy;
use crate::compatibility::{Direction, Finding, History, Mode, Report, Rule, Verdict, avro, json};
use crate::gate::{Outcome, RecordedContract, Rules, SchemaSet, SchemaSetError, compare};

const POLICIES: [Policy; 2] = [Policy::WriterClosedReaderOpen, Policy::Strict];

const MODES: [Mode; 6] = [
    Mode::Backward,
    Mode::BackwardTransitive,
    Mode::Forward,
    Mode::ForwardTransitive,
    Mode::Full,
    Mode::FullTransitive,
];

/// A line with the old JSON Schema, one with the new, and an instance of the old: the checker answers, its answers fit together,
/// every counterexample is one to a validator too, and an instance of a writer that was passed is accepted.
pub fn compatibility_json(input: &[u8]) {
    let Some([old, new, instance]) = lines(input) else {
        return;
    };
    let (Some(old), Some(new)) = (value(old), value(new)) else {
        return;
    };
    let validators = [&old, &new].map(validator);
    for policy in POLICIES {
        let mut history = History::json(policy);
        history.push("old", old.clone());
        let full = modes_agree(
            |old, new, mode| json::check(old, new, mode, policy),
            &history,
            &old,
            &new,
        );
        for schema in [&old, &new] {
            let itself = json::check(schema, schema, Mode::Backward, policy);
            let invalid = |finding: &Finding| finding.rule == Rule::InvalidSchema;
            assert!(
                itself.verdict() != Verdict::Incompatible || itself.findings().iter().any(invalid),
                "{policy:?}, with itself: {itself}"
            );
        }
        if let [Some(of_old), Some(of_new)] = &validators {
            for finding in full.findings() {
                let Some(counterexample) = &finding.counterexample else {
                    continue;
                };
                let (writer, reader) = match finding.direction {
                    Direction::Backward => (of_old, of_new),
                    Direction::Forward => (of_new, of_old),
                };
                assert!(writer.is_valid(counterexample), "not written: {finding}");
                assert!(!reader.is_valid(counterexample), "not refused: {finding}");
            }
            let backward = json::check(&old, &new, Mode::Backward, policy);
            if policy == Policy::Strict
                && backward.is_compatible()
                && let Some(instance) = value(instance)
                && of_old.is_valid(&instance)
            {
                assert!(of_new.is_valid(&instance), "passed, and refused");
            }
        }
    }
    // Who may write anything may write what is declared.
    for mode in [Mode::Backward, Mode::Forward] {
        if json::check(&old, &new, mode, Policy::Strict).is_compatible() {
            let declared = json::check(&old, &new, mode, Policy::WriterClosedReaderOpen);
            assert_ne!(declared.verdict(), Verdict::Incompatible, "{declared}");
        }
    }
}

/// A line with the old Avro schema, one with the new, and data of the old: the checker answers, its answers fit together, and
/// data of a writer that was passed is read.
pub fn compatibility_avro(input: &[u8]) {
    let Some([old, new, data]) = lines(input) else {
        return;
    };
    let (Some(old), Some(new)) = (value(old), value(new)) else {
        return;
    };
    let mut history = History::avro();
    history.push("old", old.clone());
    modes_agree(avro::check::<Value, Value>, &history, &old, &new);
    for schema in [&old, &new] {
        let itself = avro::check(schema, schema, Mode::Backward);
        // Branches of a union, and aliases, may stand in each other's way.
        let wrong = |finding: &Finding| {
            let own = [
                Rule::InvalidSchema,
                Rule::InvalidDefault,
                Rule::FieldMatchedTwice,
            ];
            own.contains(&finding.rule)
        };
        assert!(
            itself.verdict() != Verdict::Incompatible
                || itself.findings().iter().any(wrong)
                || schema.to_string().contains('['),
            "with itself: {itself}"
        );
    }
    if !avro::check(&old, &new, Mode::Backward).is_compatible() {
        return;
    }
    let schemas = [&old, &new].map(Schema::from_json);
    let [writer, reader] = schemas.map(|schema| schema.expect("what was passed is a schema"));
    let decoder = Decoder::new(&writer, &reader).expect("what was passed is resolved");
    let own = Decoder::new(&writer, &writer);
    if own.is_ok_and(|own| own.decode::<Value>(data).is_ok()) {
        let read = decoder.decode::<Value>(data);
        assert!(read.is_ok(), "passed, and refused: {read:?}");
    }
}

/// Two schema directories with an empty line between them. Each line is a file: its path, a space, and its content.
pub fn schema_directory(input: &[u8]) {
    let at = input.windows(2).position(|two| two == b"\n\n");
    let (old, new) = at.map_or((input, &b""[..]), |at| (&input[..at], &input[at + 2..]));
    let (old, new) = match (directory(old), directory(new)) {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => {
            for error in [old.err(), new.err()].into_iter().flatten() {
                assert!(!error.to_string().is_empty());
            }
            return;
        }
    };
    for set in [&old, &new] {
        // As they are recorded, so they are read.
        let files = set.iter().flat_map(|(id, contract)| {
            let folder = format!("{}/v{}", id.name, id.version);
            let earlier = contract.earlier.iter().flat_map({
                let folder = folder.clone();
                move |(number, state)| files(format!("{folder}.earlier/{number}"), state)
            });
            files(folder, contract).chain(earlier)
        });
        let again = SchemaSet::from_files(files);
        assert_eq!(&again.expect("what was read is read again"), set);
        for change in compare(set, set, Rules::default()) {
            assert!(change.edits.is_empty(), "{change:?}");
        }
    }
    for policy in POLICIES {
        for mode in MODES {
            for allow_unknown in [false, true] {
                let rules = Rules {
                    mode,
                    policy,
                    allow_unknown,
                };
                let changes = compare(&old, &new, rules);
                assert_eq!(changes, compare(&old, &new, rules), "{rules:?}");
                for change in changes {
                    let refused = change.outcome == Outcome::Incompatible;
                    assert_eq!(refused, !change.breaks.is_empty(), "{change:?}");
                    assert_eq!(refused, change.explain().contains("Whom it breaks:"));
                }
            }
        }
    }
}

/// What holds whatever the format: the same answer twice, `FULL` is both directions, who reads whom is all that tells the
/// directions apart, and a history of one version is that version.
fn modes_agree(
    check: impl Fn(&Value, &Value, Mode) -> Report,
    history: &History,
    old: &Value,
    new: &Value,
) -> Report {
    let backward = check(old, new, Mode::Backward);
    let forward = check(old, new, Mode::Forward);
    let full = check(old, new, Mode::Full);
    let both = [backward.findings(), forward.findings()].concat();
    assert_eq!(full.findings(), both, "full is backward and forward");
    assert_eq!(full.verdict(), backward.verdict().max(forward.verdict()));
    assert_eq!(turned(&check(new, old, Mode::Forward)), backward.findings());
    for mode in MODES {
        let mut of_history = history.check(new, mode).into_findings();
        for finding in &mut of_history {
            finding.version = None;
        }
        assert_eq!(check(old, new, mode).findings(), of_history, "{mode}");
    }
    full
}

/// The findings with old and new exchanged.
fn turned(report: &Report) -> Vec<Finding> {
    let turn = |finding: &Finding| {
        let mut finding = finding.clone();
        std::mem::swap(&mut finding.old, &mut finding.new);
        finding.direction = match finding.direction {
            Direction::Backward => Direction::Forward,
            Direction::Forward => Direction::Backward,
        };
        finding
    };
    report.findings().iter().map(turn).collect()
}

/// The files of one state of a contract.
fn files(path: String, state: &RecordedContract) -> impl Iterator<Item = (String, Vec<u8>)> {
    let schemas = state.schemas();
    schemas
        .map(move |(ending, schema)| (format!("{path}.{ending}"), schema.to_string().into_bytes()))
}

fn directory(lines: &[u8]) -> Result<SchemaSet, SchemaSetError> {
    SchemaSet::from_files(lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b' ')?;
        let path = String::from_utf8_lossy(&line[..at]).into_owned();
        Some((path, line[at + 1..].to_vec()))
    }))
}

fn lines(input: &[u8]) -> Option<[&[u8]; 3]> {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    Some([
        lines.next()?,
        lines.next()?,
        lines.next().unwrap_or_default(),
    ])
}

fn value(json: &[u8]) -> Option<Value> {
    serde_json::from_slice(json).ok()
}

/// The judge of counterexamples; none for what it takes for no schema.
fn validator(schema: &Value) -> Option<jsonschema::Validator> {
    let mut options = jsonschema::options();
    options = options.should_validate_formats(true);
    options.build(schema).ok()
}
