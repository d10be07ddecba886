//! Goals that other schemas make up: `allOf`, `anyOf`, `oneOf`, `not`, `if`, and what is left to others.

use super::checker::Checker;
use super::finding::Found;
use super::place::Case;
use super::schema::{Id, Node, step};
use super::types::Types;
use crate::compatibility::Rule;
use crate::compatibility::report::Verdict;

impl Checker<'_> {
    pub(super) fn prove_combinations(
        &mut self,
        case: &Case,
        node: &Node,
        goal: Id,
        found: &mut Vec<Found>,
    ) {
        for id in node.always_applied() {
            self.prove(case, id, found);
        }
        if let Some(branches) = &node.any_of {
            self.prove_any_of(case, goal, branches, found);
        }
        if let Some(branches) = &node.one_of {
            self.prove_one_of(case, goal, branches, found);
        }
        if let Some(id) = node.not
            && !self.disjoint(case, id)
        {
            let message = "The writer may write what the reader's `not` refuses, as far as can be decided: keep the old `not`, or publish a new version.".to_owned();
            found.push(self.note(
                case,
                goal,
                Rule::NotTypeExtended,
                Verdict::Unknown,
                step(&node.pointer, "not"),
                |node| node.not.is_some(),
                "not",
                message,
            ));
        }
        if let Some(condition) = &node.condition {
            if self.try_prove(case, condition.test) {
                if let Some(then) = condition.then {
                    self.prove(case, then, found);
                }
            } else if self.disjoint(case, condition.test) {
                if let Some(otherwise) = condition.otherwise {
                    self.prove(case, otherwise, found);
                }
            } else {
                if let Some(then) = condition.then {
                    found.extend(
                        self.included(&case.place.with(condition.test), then)
                            .iter()
                            .cloned(),
                    );
                }
                if let Some(otherwise) = condition.otherwise {
                    found.extend(
                        self.included(&case.place.without(condition.test), otherwise)
                            .iter()
                            .cloned(),
                    );
                }
            }
        }
    }

    fn prove_any_of(&mut self, case: &Case, goal: Id, branches: &[Id], found: &mut Vec<Found>) {
        if branches.iter().any(|branch| self.try_prove(case, *branch)) {
            return;
        }
        self.explain_branches(case, goal, "anyOf", branches, found);
    }

    fn prove_one_of(&mut self, case: &Case, goal: Id, branches: &[Id], found: &mut Vec<Found>) {
        let mut chosen = None;
        for branch in branches {
            if self.try_prove(case, *branch) {
                chosen = Some(*branch);
                break;
            }
        }
        let Some(chosen) = chosen else {
            return self.explain_branches(case, goal, "oneOf", branches, found);
        };
        for (index, branch) in branches.iter().enumerate() {
            if *branch == chosen || self.disjoint(case, *branch) {
                continue;
            }
            let pointer = step(
                &step(&self.schemas[goal].pointer, "oneOf"),
                &index.to_string(),
            );
            let message = "What the writer writes may match two branches of the reader's `oneOf`, which refuses it then: make the branches exclusive, or use `anyOf`.".to_owned();
            found.push(self.note(
                case,
                goal,
                Rule::OneOfOverlaps,
                Verdict::Unknown,
                pointer,
                |node| node.one_of.is_some(),
                "oneOf",
                message,
            ));
        }
    }

    /// No branch takes the whole case. When only one can be meant, what is in its way says the most.
    fn explain_branches(
        &mut self,
        case: &Case,
        goal: Id,
        keyword: &str,
        branches: &[Id],
        found: &mut Vec<Found>,
    ) {
        let mut meant = Vec::new();
        if self.trying == 0 {
            // Which branch is meant shows in what is written, not in what is left out.
            let mut open = case.clone();
            open.place.declaring = None;
            for branch in branches {
                if self.accepted_types(*branch).overlaps(case.types)
                    && !self.disjoint(&open, *branch)
                {
                    meant.push(*branch);
                }
            }
        }
        if let [only] = meant[..] {
            return self.prove(case, only, found);
        }
        let types = branches.iter().fold(Types::NONE, |all, branch| {
            all.or(self.accepted_types(*branch))
        });
        let verdict = if types.overlaps(case.types) {
            Verdict::Unknown
        } else {
            Verdict::Incompatible
        };
        let pointer = step(&self.schemas[goal].pointer, keyword);
        let message = format!(
            "No branch of the reader's `{keyword}` is known to accept every {} that the writer may write: add a branch, or publish a new version.",
            case.types.names()
        );
        found.push(self.note(
            case,
            goal,
            Rule::SumTypeNarrowed,
            verdict,
            pointer,
            |node| node.any_of.is_some() || node.one_of.is_some(),
            "",
            message,
        ));
    }

    pub(super) fn prove_opaque(
        &mut self,
        case: &Case,
        node: &Node,
        goal: Id,
        found: &mut Vec<Found>,
    ) {
        if let Some(reference) = &node.unresolved {
            let message = format!(
                "The reader's reference {reference:?} leads outside its document, so nothing is known about it: bring what it names into $defs."
            );
            found.push(self.note(
                case,
                goal,
                Rule::ReferenceUnresolved,
                Verdict::Unknown,
                step(&node.pointer, "$ref"),
                |_| true,
                "",
                message,
            ));
        }
        for (keyword, value) in &node.opaque {
            let same = keyword.starts_with("content")
                && self.nodes(case).any(|known| {
                    known
                        .opaque
                        .iter()
                        .any(|(other, text)| other == keyword && text == value)
                });
            let about_strings = keyword.starts_with("content") && case.types != Types::STRING;
            if !same && !about_strings {
                let message = format!(
                    "What the reader's `{keyword}` accepts is not decided by this checker: leave it out of the schema, or have a person judge."
                );
                found.push(self.note(
                    case,
                    goal,
                    Rule::KeywordNotDecided,
                    Verdict::Unknown,
                    step(&node.pointer, keyword),
                    |_| true,
                    "",
                    message,
                ));
            }
        }
    }
}
