//! Compatibility of JSON Schemas, draft-07 and 2020-12.
//!
//! The question is one of sets: does the reader's schema accept every instance that the writer produces? What the writer produces
//! depends on the [`Policy`]. A schema without `$schema` is taken as 2020-12. `format` is taken as an assertion.

mod arrays;
mod checker;
mod combinations;
mod counterexample;
mod emptiness;
mod evaluate;
mod finding;
mod format;
mod items;
mod number;
mod objects;
mod parser;
mod pattern;
mod place;
mod properties;
mod scalars;
mod schema;
mod types;
mod values;

use serde_json::Value;

use self::checker::Checker;
use self::finding::Found;
use self::place::Place;
use self::schema::{Schemas as Documents, Side};
use self::types::Types;
use super::report::{Difference, Finding, Report, Verdict};
use super::{Direction, Mode};

/// Counterexamples are looked for up to this many findings.
const MOST_COUNTEREXAMPLES: usize = 64;

/// Steps of all the searches for counterexamples of one check.
const MOST_SEARCH_STEPS: u64 = 100_000;

/// Visits of schemas by instances that they try.
const MOST_SEARCH_EVALUATIONS: u64 = 400_000;

/// What a writer is taken to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// A writer writes the properties that its schema declares, and no others, unless the schema says with `additionalProperties` or
    /// `unevaluatedProperties` that there are more. This is how programs with types write, and what makes it possible to add an
    /// optional property at all. An object that declares nothing may still hold anything. Readers get no such credit: what a
    /// reader's schema refuses, it refuses.
    #[default]
    WriterClosedReaderOpen,
    /// A writer may write everything that its schema accepts, as Confluent's checkers have it: an object without
    /// `additionalProperties: false` may hold any further property. There is one difference: a `default` does not make a required
    /// property optional, for it puts nothing into the data.
    Strict,
}

/// The schemas of one version: of what is written, and of what is read. They differ where a type writes one form and reads several.
#[derive(Clone, Copy, Debug)]
pub struct Schemas<'a> {
    /// What is written.
    pub on_write: &'a Value,
    /// What is read.
    pub on_read: &'a Value,
}

impl<'a> From<&'a Value> for Schemas<'a> {
    /// One schema for both.
    fn from(schema: &'a Value) -> Self {
        Self {
            on_write: schema,
            on_read: schema,
        }
    }
}

impl<'a> From<&'a crate::Contract> for Schemas<'a> {
    fn from(contract: &'a crate::Contract) -> Self {
        Self {
            on_write: contract.schema_on_write(),
            on_read: contract.schema_on_read(),
        }
    }
}

/// Checks a new version against an old one.
///
/// ```
/// use commerce_contracts::compatibility::{Mode, Rule, Verdict, json};
/// use serde_json::json;
///
/// let old = json!({"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]});
/// let mut new = old.clone();
/// new["properties"]["channel"] = json!({"type": "string"});
/// assert!(json::check(&old, &new, Mode::Full, json::Policy::default()).is_compatible());
///
/// new["required"] = json!(["order_id", "channel"]);
/// let report = json::check(&old, &new, Mode::Backward, json::Policy::default());
/// let [finding] = report.findings() else { panic!("{report}") };
/// assert_eq!((finding.rule, finding.verdict), (Rule::RequiredAttributeAdded, Verdict::Incompatible));
/// assert_eq!(finding.counterexample, Some(json!({"order_id": "a"}))); // the old schema accepts it, the new one does not
/// ```
pub fn check<'a>(
    old: impl Into<Schemas<'a>>,
    new: impl Into<Schemas<'a>>,
    mode: Mode,
    policy: Policy,
) -> Report {
    Report::new(findings(old.into(), new.into(), mode, policy))
}

pub(super) fn findings(
    old: Schemas<'_>,
    new: Schemas<'_>,
    mode: Mode,
    policy: Policy,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for direction in mode.directions() {
        let (writer, reader) = match direction {
            Direction::Backward => (old.on_write, new.on_read),
            Direction::Forward => (new.on_write, old.on_read),
        };
        let differences = differences(writer, reader, policy);
        findings.extend(
            differences
                .into_iter()
                .map(|difference| difference.into_finding(*direction)),
        );
    }
    findings
}

/// What keeps the reader from accepting everything that the writer produces.
fn differences(writer: &Value, reader: &Value, policy: Policy) -> Vec<Difference> {
    let mut documents = Documents::default();
    let (writer, reader) = match (
        documents.add(writer, Side::Writer),
        documents.add(reader, Side::Reader),
    ) {
        (Ok(writer), Ok(reader)) => (writer, reader),
        (writer, reader) => {
            return [writer.err(), reader.err()]
                .into_iter()
                .flatten()
                .map(|refused| *refused)
                .collect();
        }
    };
    let of_type = Types::ALL
        .iter()
        .map(|types| (types, documents.build(|node| node.types = types)))
        .collect();
    let mut checker = Checker::new(&documents, of_type);
    let mut place = Place {
        known: vec![writer],
        ..Place::default()
    };
    if policy == Policy::WriterClosedReaderOpen {
        let mut declaring = Vec::new();
        checker.declare(&mut declaring, writer);
        place.declaring = Some(declaring);
    }
    let found: Vec<Found> = checker.included(&place, reader).to_vec();
    if found.is_empty() {
        return Vec::new();
    }
    let mut differences: Vec<Difference> = Vec::with_capacity(found.len());
    let mut left = (MOST_SEARCH_STEPS, MOST_SEARCH_EVALUATIONS);
    for (index, one) in found.into_iter().enumerate() {
        let steps = left.0.min(MOST_SEARCH_STEPS / 8);
        let evaluations = left.1.min(MOST_SEARCH_EVALUATIONS / 8);
        checker.refuel(steps, evaluations);
        let counterexample = if index < MOST_COUNTEREXAMPLES {
            counterexample::search(&checker, &place, writer, reader, &one)
        } else {
            None
        };
        left.0 -= steps - checker.left().0;
        left.1 -= evaluations - checker.left().1;
        let mut difference = one.difference;
        if counterexample.is_some() {
            difference.verdict = Verdict::Incompatible;
            difference.counterexample = counterexample;
        }
        differences.push(difference);
    }
    differences
}
