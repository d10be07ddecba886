//! Random JSON Schemas, random edits of them, and random instances, judged by a validator that knows nothing of the checker.

use commerce_contracts::compatibility::json::{Policy, check};
use commerce_contracts::compatibility::{Mode, Verdict};
use fastrand::Rng;
use serde_json::Value;

use self::edits::edit;
use self::instances::{instance, mutate};
use self::schemas::document;
use self::writers::producible;
use super::Tally;

mod edits;
mod instances;
mod schemas;
mod writers;

const NAMES: [&str; 6] = ["a", "b", "c", "x1", "xa", "kind"];
/// Patterns, with what they match told by hand.
type Matches = fn(&str) -> bool;
const PATTERNS: [(&str, Matches); 5] = [
    ("^x", |text| text.starts_with('x')),
    ("a$", |text| text.ends_with('a')),
    ("^[a-c]$", |text| matches!(text, "a" | "b" | "c")),
    (r"^\w\d$", |text| {
        text.len() == 2
            && text.as_bytes()[1].is_ascii_digit()
            && (text.as_bytes()[0].is_ascii_alphanumeric() || text.as_bytes()[0] == b'_')
    }),
    ("", |_| true),
];
const FORMATS: [&str; 6] = ["date", "uuid", "uri", "uri-reference", "email", "int32"];
const TEXTS: [&str; 16] = [
    "",
    "a",
    "b",
    "xa",
    "x1",
    "aaa",
    "kind",
    "2026-01-31",
    "0190a5f0-1111-7222-8333-444455556666",
    "https://example.com/a",
    "/a",
    "someone@example.com",
    "no such format",
    "é",
    "other",
    "abcdef",
];

#[derive(Clone, Copy, PartialEq)]
enum Draft {
    Seven,
    Latest,
}

/// Runs pairs and fails the tally on every instance that a reader refuses though the checker passed the pair.
pub(crate) fn run(seed: u64, pairs: u64, tally: &mut Tally) {
    for index in 0..pairs {
        pair(seed.wrapping_add(index), tally);
    }
}

pub(crate) fn pair(seed: u64, tally: &mut Tally) {
    let mut rng = Rng::with_seed(seed);
    let draft = if rng.u8(..4) == 0 {
        Draft::Seven
    } else {
        Draft::Latest
    };
    let old = document(&mut rng, draft);
    let mut new = old.clone();
    match rng.u8(..20) {
        0 => new = document(&mut rng, draft),
        1 => {} // the same
        _ => {
            for _ in 0..rng.usize(1..8) {
                edit(&mut rng, &mut new, draft);
            }
        }
    }
    let policy = if rng.bool() {
        Policy::Strict
    } else {
        Policy::WriterClosedReaderOpen
    };
    let (writer, reader) = if rng.bool() { (old, new) } else { (new, old) };
    judge(seed, &mut rng, &writer, &reader, policy, tally);
}

pub(crate) fn judge(
    seed: u64,
    rng: &mut Rng,
    writer: &Value,
    reader: &Value,
    policy: Policy,
    tally: &mut Tally,
) {
    let compile = |schema: &Value| {
        jsonschema::options()
            .should_validate_formats(true)
            .build(schema)
    };
    let (Ok(on_write), Ok(on_read)) = (compile(writer), compile(reader)) else {
        tally.skipped += 1;
        return;
    };
    let report = check(writer, reader, Mode::Backward, policy);
    tally.count(report.verdict());
    for finding in report.findings() {
        let Some(instance) = &finding.counterexample else {
            continue;
        };
        tally.counterexamples += 1;
        if !on_write.is_valid(instance) || on_read.is_valid(instance) {
            tally.fail(format!("seed {seed}: wrong counterexample {instance}\n writer {writer}\n reader {reader}\n {finding}"));
        }
    }
    if report.verdict() != Verdict::Compatible {
        return;
    }
    let mut tried = 0;
    for attempt in 0..60 {
        let from = if attempt % 4 == 3 { reader } else { writer };
        let mut instance = instance(rng, from, from, 0);
        if rng.u8(..4) == 0 {
            mutate(rng, &mut instance);
        }
        if !on_write.is_valid(&instance)
            || (policy == Policy::WriterClosedReaderOpen
                && !producible(writer, &[writer], &instance))
        {
            continue;
        }
        tried += 1;
        if !on_read.is_valid(&instance) {
            tally.fail(format!("seed {seed}: {policy:?} passed a change that breaks {instance}\n writer {writer}\n reader {reader}"));
            return;
        }
    }
    tally.instances += tried;
    tally.passed_with_instances += u64::from(tried > 0);
}
