//! Goals about arrays.

use super::checker::Checker;
use super::finding::{Found, Step};
use super::place::{Case, Place, insert};
use super::schema::{Contains, Id, Node, Schemas, step};
use crate::compatibility::Rule;
use crate::compatibility::report::Verdict;

/// Longer arrays are not looked at item by item.
const MOST_ITEMS: u64 = 64;

impl Checker<'_> {
    pub(super) fn prove_array(
        &mut self,
        case: &Case,
        node: &Node,
        goal: Id,
        found: &mut Vec<Found>,
    ) {
        let least = self.min_items(case);
        let most = self.max_items(case);
        if let Some(goal_least) = node.min_items.filter(|goal_least| *goal_least > least) {
            let rule = if self.nodes(case).any(|node| node.min_items.is_some()) {
                Rule::MinItemsIncreased
            } else {
                Rule::MinItemsAdded
            };
            let message = format!(
                "The writer may write fewer than the {goal_least} items that the reader asks for: lower the reader's minItems, or publish a new version."
            );
            found.push(self.note(
                case,
                goal,
                rule,
                Verdict::Incompatible,
                step(&node.pointer, "minItems"),
                |node| node.min_items.is_some(),
                "minItems",
                message,
            ));
        }
        if let Some(goal_most) = node
            .max_items
            .filter(|goal_most| most.is_none_or(|most| most > *goal_most))
        {
            let rule = if self.nodes(case).any(|node| node.max_items.is_some()) {
                Rule::MaxItemsDecreased
            } else {
                Rule::MaxItemsAdded
            };
            let message = format!(
                "The writer may write more than the {goal_most} items that the reader accepts: raise the reader's maxItems, or publish a new version."
            );
            found.push(self.note(
                case,
                goal,
                rule,
                Verdict::Incompatible,
                step(&node.pointer, "maxItems"),
                |node| node.max_items.is_some(),
                "maxItems",
                message,
            ));
        }
        if node.unique_items
            && most.is_none_or(|most| most > 1)
            && !self.nodes(case).any(|node| node.unique_items)
        {
            let message = "The writer may repeat an item, which the reader refuses: drop uniqueItems in the reader, or publish a new version.".to_owned();
            found.push(self.note(
                case,
                goal,
                Rule::UniqueItemsAdded,
                Verdict::Incompatible,
                step(&node.pointer, "uniqueItems"),
                |_| true,
                "",
                message,
            ));
        }
        self.prove_items(case, node, goal, most, found);
        if let Some(contains) = &node.contains {
            self.prove_contains(case, node, contains, goal, least, most, found);
        }
        if let Some(schema) = node.unevaluated_items {
            self.prove_unevaluated_items(case, node, schema, goal, most, found);
        }
    }

    fn prove_items(
        &mut self,
        case: &Case,
        node: &Node,
        goal: Id,
        most: Option<u64>,
        found: &mut Vec<Found>,
    ) {
        // After the longest prefix of both sides all items are alike.
        let last = self.longest_prefix(case).max(node.prefix.len());
        for index in 0..=last {
            if most.is_some_and(|most| index as u64 >= most) {
                return;
            }
            let Some(schema) = node.prefix.get(index).copied().or(node.items) else {
                continue;
            };
            let Some(place) = self.item(case, index) else {
                return;
            };
            if self.schemas[schema].nothing {
                if !self.is_empty_place(&place) {
                    let message = format!(
                        "The writer may write an item {index}, and the reader's array ends before it: accept it, or publish a new version."
                    );
                    let pointer = self.schemas[schema].pointer.clone();
                    found.push(self.note(
                        case,
                        goal,
                        Rule::AdditionalItemsRemoved,
                        Verdict::Incompatible,
                        pointer,
                        |node| node.items.is_some() || !node.prefix.is_empty(),
                        "",
                        message,
                    ));
                }
                continue;
            }
            found.extend(
                self.included_at(Step::Item(index), &place, schema)
                    .iter()
                    .cloned(),
            );
        }
    }

    fn is_empty_place(&mut self, place: &Place) -> bool {
        self.descent += 1;
        let empty = self.empty(place);
        self.descent -= 1;
        empty
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of the array")]
    fn prove_contains(
        &mut self,
        case: &Case,
        node: &Node,
        contains: &Contains,
        goal: Id,
        least: u64,
        most: Option<u64>,
        found: &mut Vec<Found>,
    ) {
        let known: Vec<(Id, u64, Option<u64>)> = self
            .nodes(case)
            .filter_map(|node| node.contains.as_ref())
            .map(|contains| (contains.schema, contains.least, contains.most))
            .collect();
        let reader = contains.schema;
        let enough = contains.least == 0
            || known.iter().any(|(schema, least, _)| {
                *least >= contains.least && self.item_included(*schema, reader)
            })
            || self.certain_items(case, reader, least) >= contains.least;
        let within = contains.most.is_none_or(|limit| {
            most.is_some_and(|most| most <= limit)
                || known.iter().any(|(schema, _, most)| {
                    most.is_some_and(|most| most <= limit) && self.item_included(reader, *schema)
                })
        });
        if !(enough && within) {
            let message = "The writer does not promise the items that the reader's `contains` asks for, as far as can be decided: drop it in the reader, or publish a new version.".to_owned();
            found.push(self.note(
                case,
                goal,
                Rule::ContainsNarrowed,
                Verdict::Unknown,
                step(&node.pointer, "contains"),
                |node| node.contains.is_some(),
                "contains",
                message,
            ));
        }
    }

    /// Whether every item that one schema accepts is accepted by the other.
    fn item_included(&mut self, known: Id, goal: Id) -> bool {
        let mut place = Place::default();
        insert(&mut place.known, known);
        self.descent += 1;
        let included = self.try_included(&place, goal);
        self.descent -= 1;
        included
    }

    /// How many items are certainly there and certainly accepted.
    fn certain_items(&mut self, case: &Case, goal: Id, least: u64) -> u64 {
        let mut certain = 0;
        let prefix = self.longest_prefix(case) as u64;
        for index in 0..least.min(MOST_ITEMS) {
            let Some(place) = usize::try_from(index)
                .ok()
                .and_then(|index| self.item(case, index))
            else {
                break;
            };
            self.descent += 1;
            let accepted = self.try_included(&place, goal);
            self.descent -= 1;
            if index >= prefix {
                return if accepted {
                    certain + (least - index)
                } else {
                    certain
                };
            }
            certain += u64::from(accepted);
        }
        certain
    }

    fn prove_unevaluated_items(
        &mut self,
        case: &Case,
        node: &Node,
        schema: Id,
        goal: Id,
        most: Option<u64>,
        found: &mut Vec<Found>,
    ) {
        let evaluated = evaluated_items(self.schemas, goal, 0);
        let last = self
            .longest_prefix(case)
            .max(usize::try_from(evaluated.unwrap_or(u64::MAX)).unwrap_or(0));
        let Some(evaluated) = evaluated else {
            return; // all of them
        };
        for index in 0..=last {
            if (index as u64) < evaluated {
                continue;
            }
            if most.is_some_and(|most| index as u64 >= most) {
                return;
            }
            let Some(place) = self.item(case, index) else {
                return;
            };
            self.descent += 1;
            let accepted = self.try_included(&place, schema) || self.empty(&place);
            self.descent -= 1;
            if !accepted {
                let message = format!(
                    "The reader's `unevaluatedItems` may refuse item {index}, which the writer may write: describe it in the reader, or publish a new version."
                );
                found.push(self.note(
                    case,
                    goal,
                    Rule::UnevaluatedItemsRemoved,
                    Verdict::Unknown,
                    step(&node.pointer, "unevaluatedItems"),
                    |node| node.unevaluated_items.is_some(),
                    "",
                    message,
                ));
                return;
            }
        }
    }
}

/// How many first items the schema certainly evaluates; None for all of them.
fn evaluated_items(schemas: &Schemas, id: Id, depth: u32) -> Option<u64> {
    let node = &schemas[id];
    if node.items.is_some() || (depth > 0 && node.unevaluated_items.is_some()) {
        return None;
    }
    let mut evaluated = node.prefix.len() as u64;
    if depth < 16 {
        for id in node.always_applied() {
            evaluated = evaluated.max(evaluated_items(schemas, id, depth + 1)?);
        }
    }
    Some(evaluated)
}
