//! What stands in the way of a goal, and where.

use super::checker::Checker;
use super::place::{Case, Place};
use super::schema::{Id, Node, Side, step};
use crate::compatibility::Rule;
use crate::compatibility::report::{Difference, Verdict};

/// One way into an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Property(String),
    Item(usize),
}

/// A finding, with what is needed to look for a counterexample.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) difference: Difference,
    pub(super) place: Place,
    pub(super) goal: Id,
    pub(super) steps: Vec<Step>,
}

impl Checker<'_> {
    pub(super) fn too_complex(&self, place: &Place, goal: Id) -> Found {
        Found {
            difference: Difference {
                rule: Rule::TooComplex,
                verdict: Verdict::Unknown,
                writer: self.writer_pointer(&place.known, |_| true, None),
                reader: self.schemas[goal].pointer.clone(),
                message: "The schemas are too large or too entangled to be judged here: simplify them, or keep the old schema.".into(),
                counterexample: None,
            },
            place: place.clone(),
            goal,
            steps: self.steps.clone(),
        }
    }

    /// Where the writer says something about a keyword: the schema that does, or the nearest.
    fn writer_pointer(
        &self,
        known: &[Id],
        relevant: impl Fn(&Node) -> bool,
        keyword: Option<&str>,
    ) -> String {
        let writers = || {
            known
                .iter()
                .map(|id| &self.schemas[*id])
                .filter(|node| node.side == Side::Writer)
        };
        match writers().find(|node| relevant(node)) {
            Some(node) => match keyword {
                Some(keyword) if !keyword.is_empty() => step(&node.pointer, keyword),
                _ => node.pointer.clone(),
            },
            None => writers()
                .next()
                .map(|node| node.pointer.clone())
                .unwrap_or_default(),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a finding")]
    pub(super) fn note(
        &self,
        case: &Case,
        goal: Id,
        rule: Rule,
        verdict: Verdict,
        reader: String,
        relevant: impl Fn(&Node) -> bool,
        keyword: &str,
        message: String,
    ) -> Found {
        let verdict = if case.imprecise {
            Verdict::Unknown
        } else {
            verdict
        };
        Found {
            difference: Difference {
                rule,
                verdict,
                writer: self.writer_pointer(&case.place.known, relevant, Some(keyword)),
                reader,
                message,
                counterexample: None,
            },
            place: case.place.clone(),
            goal,
            steps: self.steps.clone(),
        }
    }
}

/// One finding for each rule and place, the surest.
pub(super) fn deduplicate(found: &mut Vec<Found>) {
    let mut kept: Vec<Found> = Vec::with_capacity(found.len());
    for one in found.drain(..) {
        let same = kept.iter_mut().find(|other| {
            let (one, other) = (&one.difference, &other.difference);
            one.rule == other.rule && one.writer == other.writer && one.reader == other.reader
        });
        match same {
            Some(other) if other.difference.verdict < one.difference.verdict => *other = one,
            Some(_) => {}
            None => kept.push(one),
        }
    }
    *found = kept;
}
