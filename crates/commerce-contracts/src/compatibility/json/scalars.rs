//! Goals about numbers and strings.

use super::checker::Checker;
use super::finding::Found;
use super::format;
use super::number::Decimal;
use super::place::Case;
use super::schema::{Bound, Id, Node, step};
use super::types::Types;
use crate::compatibility::Rule;
use crate::compatibility::report::Verdict;

/// The least integer that a minimum allows.
fn least_integer(bound: Bound) -> Option<i128> {
    let floor = bound.value.floor()?;
    if bound.value.is_integer() && !bound.exclusive {
        Some(floor)
    } else {
        floor.checked_add(1)
    }
}

/// The greatest integer that a maximum allows.
fn greatest_integer(bound: Bound) -> Option<i128> {
    let floor = bound.value.floor()?;
    if bound.value.is_integer() && bound.exclusive {
        floor.checked_sub(1)
    } else {
        Some(floor)
    }
}

fn minimum_implies(known: Bound, goal: Bound, types: Types) -> bool {
    if known.value > goal.value
        || (known.value == goal.value && (known.exclusive || !goal.exclusive))
    {
        return true;
    }
    types == Types::INTEGER
        && matches!((least_integer(known), least_integer(goal)), (Some(known), Some(goal)) if known >= goal)
}

fn maximum_implies(known: Bound, goal: Bound, types: Types) -> bool {
    if known.value < goal.value
        || (known.value == goal.value && (known.exclusive || !goal.exclusive))
    {
        return true;
    }
    types == Types::INTEGER
        && matches!((greatest_integer(known), greatest_integer(goal)), (Some(known), Some(goal)) if known <= goal)
}

fn inclusive(value: Decimal) -> Bound {
    Bound {
        value,
        exclusive: false,
    }
}

impl Checker<'_> {
    pub(super) fn numbers_empty(&self, case: &Case) -> bool {
        let (Some(minimum), Some(maximum)) = (self.minimum(case), self.maximum(case)) else {
            return false;
        };
        if case.types == Types::INTEGER {
            matches!((least_integer(minimum), greatest_integer(maximum)), (Some(least), Some(greatest)) if least > greatest)
        } else {
            minimum.value > maximum.value
                || (minimum.value == maximum.value
                    && (minimum.exclusive || maximum.exclusive || minimum.value.is_integer()))
        }
    }

    pub(super) fn prove_number(&self, case: &Case, node: &Node, goal: Id, found: &mut Vec<Found>) {
        if let Some(bound) = node.minimum {
            let known = self.minimum(case);
            if !known.is_some_and(|known| minimum_implies(known, bound, case.types)) {
                let rule = if known.is_some() {
                    Rule::MinimumIncreased
                } else {
                    Rule::MinimumAdded
                };
                let message = "The writer may write smaller numbers than the reader accepts: lower the reader's minimum, or publish a new version.".to_owned();
                let pointer = step(
                    &node.pointer,
                    if bound.exclusive {
                        "exclusiveMinimum"
                    } else {
                        "minimum"
                    },
                );
                found.push(self.note(
                    case,
                    goal,
                    rule,
                    Verdict::Incompatible,
                    pointer,
                    |node| node.minimum.is_some(),
                    "",
                    message,
                ));
            }
        }
        if let Some(bound) = node.maximum {
            let known = self.maximum(case);
            if !known.is_some_and(|known| maximum_implies(known, bound, case.types)) {
                let rule = if known.is_some() {
                    Rule::MaximumDecreased
                } else {
                    Rule::MaximumAdded
                };
                let message = "The writer may write greater numbers than the reader accepts: raise the reader's maximum, or publish a new version.".to_owned();
                let pointer = step(
                    &node.pointer,
                    if bound.exclusive {
                        "exclusiveMaximum"
                    } else {
                        "maximum"
                    },
                );
                found.push(self.note(
                    case,
                    goal,
                    rule,
                    Verdict::Incompatible,
                    pointer,
                    |node| node.maximum.is_some(),
                    "",
                    message,
                ));
            }
        }
        if let Some(divisor) = node.multiple_of {
            let mut known = self
                .nodes(case)
                .filter_map(|node| node.multiple_of)
                .peekable();
            let rule = if known.peek().is_some() {
                Rule::MultipleOfChanged
            } else {
                Rule::MultipleOfAdded
            };
            let one = (case.types == Types::INTEGER).then(|| Decimal::integer(1));
            if !known
                .chain(one)
                .any(|known| known.is_multiple_of(divisor) == Some(true))
            {
                let message = "The writer may write numbers that are no multiple of the reader's `multipleOf`: drop it in the reader, or publish a new version.".to_owned();
                found.push(self.note(
                    case,
                    goal,
                    rule,
                    Verdict::Incompatible,
                    step(&node.pointer, "multipleOf"),
                    |node| node.multiple_of.is_some(),
                    "multipleOf",
                    message,
                ));
            }
        }
        if let Some(format) = node
            .format
            .as_deref()
            .filter(|format| format::is_numeric(format))
        {
            self.prove_number_format(case, node, format, goal, found);
        }
    }

    fn prove_number_format(
        &self,
        case: &Case,
        node: &Node,
        format: &str,
        goal: Id,
        found: &mut Vec<Found>,
    ) {
        let formats = || self.nodes(case).filter_map(|node| node.format.as_deref());
        if formats().any(|known| known == format) {
            return;
        }
        let holds = match format::integers(format) {
            Some((least, most)) => {
                let by_format = formats()
                    .filter_map(format::integers)
                    .any(|(low, high)| low >= least && high <= most);
                let by_bounds = self
                    .minimum(case)
                    .is_some_and(|known| minimum_implies(known, inclusive(least), case.types))
                    && self
                        .maximum(case)
                        .is_some_and(|known| maximum_implies(known, inclusive(most), case.types));
                case.types == Types::INTEGER && (by_format || by_bounds)
            }
            // Every number of JSON is a double to those who take it as one; a float is one too.
            None => format == "double",
        };
        if !holds {
            let rule = if formats().next().is_some() {
                Rule::FormatChanged
            } else {
                Rule::FormatAdded
            };
            let message = format!(
                "Some readers refuse numbers outside of {format:?}, and the writer does not promise that range: state it with `minimum` and `maximum`, on both sides."
            );
            found.push(self.note(
                case,
                goal,
                rule,
                Verdict::Unknown,
                step(&node.pointer, "format"),
                |node| node.format.is_some(),
                "format",
                message,
            ));
        }
    }

    pub(super) fn prove_string(&self, case: &Case, node: &Node, goal: Id, found: &mut Vec<Found>) {
        if let Some(goal_least) = node.min_length.filter(|least| *least > 0) {
            let known = self.nodes(case).filter_map(|node| node.min_length).max();
            if known.is_none_or(|known| known < goal_least) {
                let rule = if known.is_some() {
                    Rule::MinLengthIncreased
                } else {
                    Rule::MinLengthAdded
                };
                let message = "The writer may write shorter text than the reader accepts: lower the reader's minLength, or publish a new version.".to_owned();
                found.push(self.note(
                    case,
                    goal,
                    rule,
                    Verdict::Incompatible,
                    step(&node.pointer, "minLength"),
                    |node| node.min_length.is_some(),
                    "minLength",
                    message,
                ));
            }
        }
        if let Some(goal_most) = node.max_length {
            let known = self.nodes(case).filter_map(|node| node.max_length).min();
            if known.is_none_or(|known| known > goal_most) {
                let rule = if known.is_some() {
                    Rule::MaxLengthDecreased
                } else {
                    Rule::MaxLengthAdded
                };
                let message = "The writer may write longer text than the reader accepts: raise the reader's maxLength, or publish a new version.".to_owned();
                found.push(self.note(
                    case,
                    goal,
                    rule,
                    Verdict::Incompatible,
                    step(&node.pointer, "maxLength"),
                    |node| node.max_length.is_some(),
                    "maxLength",
                    message,
                ));
            }
        }
        if let Some(pattern) = node
            .pattern
            .as_ref()
            .filter(|pattern| !pattern.matches_everything())
        {
            let mut known = self
                .nodes(case)
                .filter_map(|node| node.pattern.as_ref())
                .peekable();
            let rule = if known.peek().is_some() {
                Rule::PatternChanged
            } else {
                Rule::PatternAdded
            };
            if !known.any(|known| known.text() == pattern.text()) {
                let message = "The writer may write text that the reader's pattern refuses, as far as can be decided: keep the writer's pattern in the reader, or publish a new version.".to_owned();
                found.push(self.note(
                    case,
                    goal,
                    rule,
                    Verdict::Unknown,
                    step(&node.pointer, "pattern"),
                    |node| node.pattern.is_some(),
                    "pattern",
                    message,
                ));
            }
        }
        if let Some(format) = node
            .format
            .as_deref()
            .filter(|format| !format::is_numeric(format))
        {
            let mut known = self
                .nodes(case)
                .filter_map(|node| node.format.as_deref())
                .peekable();
            let rule = if known.peek().is_some() {
                Rule::FormatChanged
            } else {
                Rule::FormatAdded
            };
            if !known.any(|known| format::implies(known, format)) {
                let message = format!(
                    "The writer does not promise the format {format:?} that the reader expects: drop it in the reader, or publish a new version."
                );
                found.push(self.note(
                    case,
                    goal,
                    rule,
                    Verdict::Unknown,
                    step(&node.pointer, "format"),
                    |node| node.format.is_some(),
                    "format",
                    message,
                ));
            }
        }
    }
}
