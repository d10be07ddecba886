//! Language inclusion: everything that the writer's schema produces is accepted by the reader's.
//!
//! The reader's schema is a conjunction, so each of its keywords is a goal of its own. A goal is reached only by a proof from what is
//! known of the instances at that place; a goal without a proof is a finding. That is why the checker may refuse too much, and why a
//! keyword it has never heard of cannot make it accept too much.
//!
//! Recursion ends by induction over the size of the instance: a question that comes up again inside itself, about a smaller instance,
//! is taken as proven. About the same instance it is not.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

use super::evaluate::Evaluator;
use super::finding::{Found, Step, deduplicate};
use super::place::{Case, Place, insert};
use super::schema::{Id, Node, Schemas, step};
use super::types::Types;
use crate::compatibility::Rule;
use crate::compatibility::report::Verdict;

/// Steps of one check, each about a microsecond.
const MOST_STEPS: u64 = 50_000;

/// Visits of schemas when instances are evaluated, over one check.
const MOST_EVALUATIONS: u64 = 200_000;

/// Questions and goals inside each other: each takes some kilobytes of stack.
const MOST_DEPTH: usize = 160;

/// Levels of instances inside instances.
const MOST_DESCENT: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    Included(Place, Id),
    Empty(Place),
}

pub(super) struct Checker<'a> {
    pub(super) schemas: &'a Schemas,
    /// The schemas that say "of this type", one for each type.
    of_type: Vec<(Types, Id)>,
    /// Answers, and whether they were sought without explanations.
    answers: HashMap<Question, (Rc<Vec<Found>>, bool)>,
    /// What is being asked, and how deep in the instance.
    asking: Vec<(Question, usize)>,
    /// The outermost question that the current proof takes as proven.
    leaned_on: usize,
    pub(super) descent: usize,
    depth: usize,
    pub(super) steps: Vec<Step>,
    in_place: Vec<Id>,
    fuel: Cell<u64>,
    evaluations: Cell<u64>,
    /// Nobody will read the findings: their texts are not written.
    pub(super) trying: u32,
}

impl<'a> Checker<'a> {
    pub(super) fn new(schemas: &'a Schemas, of_type: Vec<(Types, Id)>) -> Self {
        Self {
            schemas,
            of_type,
            answers: HashMap::new(),
            asking: Vec::new(),
            leaned_on: usize::MAX,
            descent: 0,
            depth: 0,
            steps: Vec::new(),
            in_place: Vec::new(),
            fuel: Cell::new(MOST_STEPS),
            evaluations: Cell::new(MOST_EVALUATIONS),
            trying: 0,
        }
    }

    pub(super) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(self.schemas, &self.evaluations)
    }

    /// Gives the search for counterexamples its own allowance.
    pub(super) fn refuel(&mut self, steps: u64, evaluations: u64) {
        self.fuel.set(steps);
        self.evaluations.set(evaluations);
    }

    /// Takes from what the check may spend: what grows with the schemas costs more.
    pub(super) fn spend(&self, steps: usize) {
        self.fuel.set(self.fuel.get().saturating_sub(steps as u64));
    }

    /// The steps and evaluations that are left.
    pub(super) fn left(&self) -> (u64, u64) {
        (self.fuel.get(), self.evaluations.get())
    }

    /// Whether there is nothing left to spend: answers are then "not proven".
    pub(super) fn is_exhausted(&self) -> bool {
        self.fuel.get() == 0 || self.evaluations.get() == 0
    }

    pub(super) fn ask(
        &mut self,
        question: Question,
        answer: impl FnOnce(&mut Self) -> Vec<Found>,
        unproven: impl FnOnce(&Self) -> Found,
    ) -> Rc<Vec<Found>> {
        if let Some((known, tried)) = self.answers.get(&question)
            && (known.is_empty() || !tried || self.trying > 0)
        {
            return Rc::clone(known);
        }
        if let Some(index) = self.asking.iter().position(|(asked, _)| *asked == question) {
            if self.descent > self.asking[index].1 {
                self.leaned_on = self.leaned_on.min(index);
                return Rc::new(Vec::new());
            }
            return Rc::new(vec![unproven(self)]);
        }
        self.spend(1);
        if self.is_exhausted() || self.descent > MOST_DESCENT || self.depth > MOST_DEPTH {
            return Rc::new(vec![unproven(self)]);
        }
        let index = self.asking.len();
        self.asking.push((question.clone(), self.descent));
        let outer = std::mem::replace(&mut self.leaned_on, usize::MAX);
        let in_place = std::mem::take(&mut self.in_place);
        self.depth += 1;
        let found = Rc::new(answer(self));
        self.depth -= 1;
        self.in_place = in_place;
        self.asking.pop();
        // A proof that leans on a question still open holds only if that one is answered well.
        if self.leaned_on >= index {
            self.leaned_on = usize::MAX;
            self.answers
                .insert(question, (Rc::clone(&found), self.trying > 0));
        }
        self.leaned_on = self.leaned_on.min(outer);
        found
    }

    /// What stands in the way of: the goal accepts everything at the place.
    pub(super) fn included(&mut self, place: &Place, goal: Id) -> Rc<Vec<Found>> {
        if place.known.contains(&goal) || self.accepts_everything(goal) {
            return Rc::new(Vec::new());
        }
        let question = Question::Included(place.clone(), goal);
        self.ask(
            question,
            |checker| {
                let mut found = Vec::new();
                for case in checker.cases(place) {
                    checker.case_included(&case, goal, &mut found);
                }
                deduplicate(&mut found);
                found
            },
            |checker| checker.too_complex(place, goal),
        )
    }

    /// The same, one step into the instance.
    pub(super) fn included_at(&mut self, step: Step, place: &Place, goal: Id) -> Rc<Vec<Found>> {
        self.descent += 1;
        self.steps.push(step);
        let found = self.included(place, goal);
        self.steps.pop();
        self.descent -= 1;
        found
    }

    /// The schema that says "a string".
    pub(super) fn strings(&self) -> Id {
        self.type_schema(Types::STRING).unwrap_or_default()
    }

    pub(super) fn type_schema(&self, types: Types) -> Option<Id> {
        self.of_type
            .iter()
            .find(|(of, _)| *of == types)
            .map(|(_, id)| *id)
    }

    fn accepts_everything(&self, goal: Id) -> bool {
        let node = &self.schemas[goal];
        !node.nothing
            && node.types == Types::ALL
            && node.values.is_none()
            && node.minimum.is_none()
            && node.maximum.is_none()
            && node.multiple_of.is_none()
            && node.min_length.is_none()
            && node.max_length.is_none()
            && node.pattern.is_none()
            && node.format.is_none()
            && node.prefix.is_empty()
            && node.items.is_none()
            && node.unevaluated_items.is_none()
            && node.min_items.is_none()
            && node.max_items.is_none()
            && !node.unique_items
            && node.contains.is_none()
            && node.properties.is_empty()
            && node.patterns.is_empty()
            && node.additional.is_none()
            && node.unevaluated_properties.is_none()
            && node.required.is_empty()
            && node.names.is_none()
            && node.min_properties.is_none()
            && node.max_properties.is_none()
            && node.dependent_required.is_empty()
            && node.dependent_schemas.is_empty()
            && node.all_of.is_empty()
            && node.any_of.is_none()
            && node.one_of.is_none()
            && node.not.is_none()
            && node.condition.is_none()
            && node.reference.is_none()
            && node.unresolved.is_none()
            && node.opaque.is_empty()
    }

    fn case_included(&mut self, case: &Case, goal: Id, found: &mut Vec<Found>) {
        let accepted = self.accepted_types(goal);
        let refused = case.types.without(accepted);
        if !refused.is_empty() {
            let typed = self.restricted(case, refused);
            if !self.types_empty(&typed) {
                let rule = if case.types.overlaps(accepted) {
                    Rule::TypeNarrowed
                } else {
                    Rule::TypeChanged
                };
                let at = self.typing(goal);
                let pointer = step(&self.schemas[at].pointer, "type");
                let message = format!(
                    "The reader refuses {} here, which the writer may write: accept it too, or publish a new version.",
                    refused.names()
                );
                found.push(self.note(
                    &typed,
                    goal,
                    rule,
                    Verdict::Incompatible,
                    pointer,
                    |node| node.types != Types::ALL,
                    "type",
                    message,
                ));
            }
        }
        for types in case.types.and(accepted).iter() {
            let typed = self.restricted(case, types);
            let mut of_type = Vec::new();
            self.prove(&typed, goal, &mut of_type);
            // Nothing can break that cannot be written.
            if !of_type.is_empty() && !self.case_empty(&typed) {
                found.append(&mut of_type);
            }
        }
    }

    /// The case, for one type or some.
    pub(super) fn restricted(&self, case: &Case, types: Types) -> Case {
        let mut restricted = case.clone();
        restricted.types = types;
        if let Some(values) = &mut restricted.values {
            values.retain(|value| types.contains(Types::of(value)));
        }
        if let Some(id) = self.type_schema(types) {
            insert(&mut restricted.place.known, id);
        }
        restricted
    }

    /// The types that the goal, with all that it always applies, accepts.
    pub(super) fn accepted_types(&self, goal: Id) -> Types {
        let mut reached = Vec::new();
        let mut rest = vec![goal];
        let mut types = Types::ALL;
        while let Some(id) = rest.pop() {
            if reached.contains(&id) {
                continue;
            }
            reached.push(id);
            let node = &self.schemas[id];
            types = types.and(node.types);
            rest.extend(node.always_applied());
        }
        types
    }

    /// The schema, among what the goal always applies, that names its type.
    fn typing(&self, goal: Id) -> Id {
        let mut reached = Vec::new();
        let mut rest = vec![goal];
        while let Some(id) = rest.pop() {
            if reached.contains(&id) {
                continue;
            }
            reached.push(id);
            if self.schemas[id].types != Types::ALL {
                return id;
            }
            rest.extend(self.schemas[id].always_applied());
        }
        goal
    }

    /// Whether a goal is reached, without findings for anyone to read.
    pub(super) fn try_prove(&mut self, case: &Case, goal: Id) -> bool {
        self.trying += 1;
        let mut found = Vec::new();
        self.prove(case, goal, &mut found);
        self.trying -= 1;
        found.is_empty()
    }

    pub(super) fn try_included(&mut self, place: &Place, goal: Id) -> bool {
        self.trying += 1;
        let included = self.included(place, goal).is_empty();
        self.trying -= 1;
        included
    }

    /// Collects what stands in the way of the goal for a case of one type.
    pub(super) fn prove(&mut self, case: &Case, goal: Id, found: &mut Vec<Found>) {
        if case.place.known.binary_search(&goal).is_ok() || self.accepts_everything(goal) {
            return;
        }
        self.spend(1);
        if self.in_place.contains(&goal) || self.is_exhausted() || self.depth > MOST_DEPTH {
            found.push(self.too_complex(&case.place, goal));
            return;
        }
        self.in_place.push(goal);
        self.depth += 1;
        let schemas = self.schemas;
        let node = &schemas[goal];
        match &case.values {
            Some(values) => self.prove_values(case, values, goal, found),
            None => self.prove_keywords(case, node, goal, found),
        }
        self.depth -= 1;
        self.in_place.pop();
    }

    fn prove_values(&mut self, case: &Case, values: &[Value], goal: Id, found: &mut Vec<Found>) {
        let mut open = Vec::new();
        for value in values {
            if self.evaluator().accepts(goal, value) != Some(true) {
                open.push(value.clone());
            }
        }
        if open.is_empty() {
            return;
        }
        let refused = open
            .iter()
            .any(|value| self.evaluator().accepts(goal, value) == Some(false));
        let mut remaining = case.clone();
        remaining.values = Some(open);
        let node = &self.schemas[goal];
        if let Some(values) = &node.values {
            let listed = remaining
                .values
                .iter()
                .flatten()
                .filter(|value| !values.contains(value));
            let listed: Vec<String> = listed.map(Value::to_string).collect();
            if !listed.is_empty() {
                let pointer = node.pointer.clone();
                let message = format!(
                    "The reader does not know {}, which the writer may write: add what is missing to the reader, or publish a new version.",
                    listed.join(", ")
                );
                let verdict = if refused && !case.imprecise {
                    Verdict::Incompatible
                } else {
                    Verdict::Unknown
                };
                found.push(self.note(
                    &remaining,
                    goal,
                    Rule::EnumArrayNarrowed,
                    verdict,
                    pointer,
                    |node| node.values.is_some(),
                    "",
                    message,
                ));
                return;
            }
        }
        // The same without the list tells which keyword is in the way.
        let before = found.len();
        let unlisted = Case {
            values: None,
            ..remaining.clone()
        };
        self.prove_keywords(&unlisted, &self.schemas[goal], goal, found);
        for one in &mut found[before..] {
            if one.goal == goal && one.steps == self.steps {
                one.place = remaining.place.clone();
            }
        }
        if found.len() == before {
            let pointer = self.schemas[goal].pointer.clone();
            let message = "The reader refuses a value that the writer lists, as far as can be decided: accept it, or publish a new version.".to_owned();
            found.push(self.note(
                &remaining,
                goal,
                Rule::KeywordNotDecided,
                Verdict::Unknown,
                pointer,
                |node| node.values.is_some(),
                "",
                message,
            ));
        }
    }

    fn prove_keywords(&mut self, case: &Case, node: &Node, goal: Id, found: &mut Vec<Found>) {
        if node.nothing {
            let message = "The reader accepts nothing here, and the writer may write it: accept it, or publish a new version.".to_owned();
            found.push(self.note(
                case,
                goal,
                Rule::NothingAccepted,
                Verdict::Incompatible,
                node.pointer.clone(),
                |_| true,
                "",
                message,
            ));
            return;
        }
        if !node.types.contains(case.types) {
            let message = format!(
                "The reader refuses {} here, which the writer may write.",
                case.types.names()
            );
            found.push(self.note(
                case,
                goal,
                Rule::TypeNarrowed,
                Verdict::Incompatible,
                step(&node.pointer, "type"),
                |node| node.types != Types::ALL,
                "type",
                message,
            ));
            return;
        }
        if node.values.is_some() && case.values.is_none() {
            let message = "The reader accepts only the listed values, and the writer may write others: drop the list in the reader, or publish a new version.".to_owned();
            found.push(self.note(
                case,
                goal,
                Rule::EnumArrayAdded,
                Verdict::Incompatible,
                node.pointer.clone(),
                |_| true,
                "",
                message,
            ));
        }
        match case.types {
            Types::INTEGER | Types::FRACTION => self.prove_number(case, node, goal, found),
            Types::STRING => self.prove_string(case, node, goal, found),
            Types::ARRAY => self.prove_array(case, node, goal, found),
            Types::OBJECT => self.prove_object(case, node, goal, found),
            _ => {}
        }
        self.prove_combinations(case, node, goal, found);
        self.prove_opaque(case, node, goal, found);
    }
}
