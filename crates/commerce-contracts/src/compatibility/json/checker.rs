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
use super::place::{Case, Place, insert};
use super::schema::{Id, Node, Schemas, Side, step};
use super::types::Types;
use crate::compatibility::Rule;
use crate::compatibility::report::{Difference, Verdict};

/// Steps of one check.
const MOST_STEPS: u64 = 200_000;

/// Visits of schemas when instances are evaluated, over one check.
const MOST_EVALUATIONS: u64 = 2_000_000;

/// Levels of instances inside instances.
const MOST_DESCENT: usize = 64;

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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
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
    pub(super) steps: Vec<Step>,
    in_place: Vec<Id>,
    fuel: u64,
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
            steps: Vec::new(),
            in_place: Vec::new(),
            fuel: MOST_STEPS,
            evaluations: Cell::new(MOST_EVALUATIONS),
            trying: 0,
        }
    }

    pub(super) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(self.schemas, &self.evaluations)
    }

    /// Gives the search for counterexamples its own allowance.
    pub(super) fn refuel(&mut self, steps: u64, evaluations: u64) {
        self.fuel = steps;
        self.evaluations.set(evaluations);
    }

    /// Whether there is nothing left to spend: answers are then "not proven".
    pub(super) fn is_exhausted(&self) -> bool {
        self.fuel == 0 || self.evaluations.get() == 0
    }

    fn ask(
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
        self.fuel = self.fuel.saturating_sub(1);
        if self.is_exhausted()
            || self.descent > MOST_DESCENT
            || self.asking.len() > 2 * MOST_DESCENT
        {
            return Rc::new(vec![unproven(self)]);
        }
        let index = self.asking.len();
        self.asking.push((question.clone(), self.descent));
        let outer = std::mem::replace(&mut self.leaned_on, usize::MAX);
        let in_place = std::mem::take(&mut self.in_place);
        let found = Rc::new(answer(self));
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

    fn too_complex(&self, place: &Place, goal: Id) -> Found {
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

    /// The schema that says "a string".
    pub(super) fn strings(&self) -> Id {
        self.type_schema(Types::STRING).unwrap_or_default()
    }

    fn type_schema(&self, types: Types) -> Option<Id> {
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
    fn restricted(&self, case: &Case, types: Types) -> Case {
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

    fn types_empty(&mut self, case: &Case) -> bool {
        case.types.iter().all(|one| {
            let of_type = self.restricted(case, one);
            self.case_empty(&of_type)
        })
    }

    /// The types that the goal, with all that it always applies, accepts.
    fn accepted_types(&self, goal: Id) -> Types {
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
        self.fuel = self.fuel.saturating_sub(1);
        if self.in_place.contains(&goal)
            || self.is_exhausted()
            || self.in_place.len() > MOST_DESCENT
        {
            found.push(self.too_complex(&case.place, goal));
            return;
        }
        self.in_place.push(goal);
        let schemas = self.schemas;
        let node = &schemas[goal];
        match &case.values {
            Some(values) => self.prove_values(case, values, goal, found),
            None => self.prove_keywords(case, node, goal, found),
        }
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
            let listed = remaining.values.iter().flatten().filter(|value| {
                !values
                    .iter()
                    .any(|accepted| super::evaluate::equal(accepted, value))
            });
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

    fn prove_combinations(&mut self, case: &Case, node: &Node, goal: Id, found: &mut Vec<Found>) {
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

    fn prove_opaque(&mut self, case: &Case, node: &Node, goal: Id, found: &mut Vec<Found>) {
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

    /// Whether nothing in the case is accepted by the schema.
    pub(super) fn disjoint(&mut self, case: &Case, schema: Id) -> bool {
        if let Some(values) = &case.values {
            let evaluator = self.evaluator();
            return values
                .iter()
                .all(|value| evaluator.accepts(schema, value) == Some(false));
        }
        if case.place.refused.binary_search(&schema).is_ok() {
            return true;
        }
        let both = case.place.with(schema);
        if self.empty(&both) {
            return true;
        }
        // What is accepted by this schema is accepted by one that the writer's instances are refused by.
        let mut alone = Place {
            known: vec![schema],
            ..Place::default()
        };
        if let Some(id) = self.type_schema(case.types) {
            insert(&mut alone.known, id);
        }
        case.place
            .refused
            .iter()
            .any(|refused| self.try_included(&alone, *refused))
    }

    /// Whether nothing can be at the place.
    pub(super) fn empty(&mut self, place: &Place) -> bool {
        let question = Question::Empty(place.clone());
        self.trying += 1;
        let found = self.ask(
            question,
            |checker| {
                for case in checker.cases(place) {
                    for one in case.types.iter() {
                        let of_type = checker.restricted(&case, one);
                        if !checker.case_empty(&of_type) {
                            return vec![checker.too_complex(place, 0)];
                        }
                    }
                }
                Vec::new()
            },
            |checker| checker.too_complex(place, 0),
        );
        self.trying -= 1;
        found.is_empty()
    }

    fn empty_at(&mut self, place: &Place) -> bool {
        self.descent += 1;
        let empty = self.empty(place);
        self.descent -= 1;
        empty
    }

    /// Whether nothing is in the case, which is of one type.
    pub(super) fn case_empty(&mut self, case: &Case) -> bool {
        if let Some(values) = &case.values {
            return values.is_empty();
        }
        match case.types {
            Types::INTEGER | Types::FRACTION => self.numbers_empty(case),
            Types::STRING => {
                let least = self.nodes(case).filter_map(|node| node.min_length).max();
                let most = self.nodes(case).filter_map(|node| node.max_length).min();
                matches!((least, most), (Some(least), Some(most)) if least > most)
            }
            Types::ARRAY => {
                let least = self.min_items(case);
                if self.max_items(case).is_some_and(|most| least > most) {
                    return true;
                }
                let looked_at = usize::try_from(least)
                    .unwrap_or(usize::MAX)
                    .min(self.longest_prefix(case) + 1);
                (0..looked_at).any(|index| match self.item(case, index) {
                    Some(place) => self.empty_at(&place),
                    None => true,
                })
            }
            Types::OBJECT => {
                let required: Vec<String> = self
                    .required(&case.place.known)
                    .into_iter()
                    .map(str::to_owned)
                    .collect();
                let most = self
                    .nodes(case)
                    .filter_map(|node| node.max_properties)
                    .min();
                let least = self
                    .nodes(case)
                    .filter_map(|node| node.min_properties)
                    .max();
                if most.is_some_and(|most| most < (required.len() as u64).max(least.unwrap_or(0))) {
                    return true;
                }
                required.iter().any(|name| match self.property(case, name) {
                    Some(place) => self.empty_at(&place),
                    None => true,
                })
            }
            _ => false,
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

fn deduplicate(found: &mut Vec<Found>) {
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
