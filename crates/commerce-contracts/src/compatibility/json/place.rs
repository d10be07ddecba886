//! What is known about the instances at one place: schemas that accept them, schemas that refuse them, and, under the closed reading
//! of writers, which schemas declare what may be written there.
//!
//! Everything here errs to one side: it may allow instances that the writer never writes, it must not lose one that it may write.

use std::collections::BTreeSet;

use serde_json::Value;

use super::checker::Checker;
use super::evaluate::equal;
use super::schema::{Bound, Id, Node, Side, tighter_maximum, tighter_minimum};
use super::types::Types;

/// More alternatives than this are not told apart.
const MOST_CASES: usize = 64;

/// Instances at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// All of these accept the instance.
    pub(super) known: Vec<Id>,
    /// None of these accepts the instance.
    pub(super) refused: Vec<Id>,
    /// The writer's schemas that may speak about this place, when the writer writes only what they declare. None: anything may be written.
    pub(super) declaring: Option<Vec<Id>>,
}

impl Place {
    pub(super) fn with(&self, id: Id) -> Self {
        let mut place = self.clone();
        insert(&mut place.known, id);
        place
    }

    pub(super) fn without(&self, id: Id) -> Self {
        let mut place = self.clone();
        insert(&mut place.refused, id);
        place
    }
}

/// Keeps the list sorted and without repetition: equal places must be equal keys.
pub(super) fn insert(ids: &mut Vec<Id>, id: Id) {
    if let Err(at) = ids.binary_search(&id) {
        ids.insert(at, id);
    }
}

/// A place after all alternatives were chosen: every schema in `known` is there with all that it applies in place.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) place: Place,
    pub(super) types: Types,
    /// All instances, when they are finite.
    pub(super) values: Option<Vec<Value>>,
    /// Something that restricts the writer could not be used: a failure here proves nothing.
    pub(super) imprecise: bool,
}

/// The names of properties that no schema spells out.
#[derive(Clone, Debug)]
pub(super) struct OtherNames {
    /// The pattern that they match, when there is one.
    pub(super) pattern: Option<String>,
    /// A name of this kind.
    pub(super) example: String,
    pub(super) place: Place,
}

#[derive(Clone)]
struct Draft {
    pending: Vec<Id>,
    known: Vec<Id>,
    refused: Vec<Id>,
    splits: Vec<Vec<(Vec<Id>, Vec<Id>)>>,
    types: Types,
    imprecise: bool,
}

impl Checker<'_> {
    /// The cases that together cover the place. None of them is obviously impossible.
    pub(super) fn cases(&self, place: &Place) -> Vec<Case> {
        let mut open = vec![Draft {
            pending: place.known.clone(),
            known: Vec::new(),
            refused: place.refused.clone(),
            splits: Vec::new(),
            types: Types::ALL,
            imprecise: false,
        }];
        let mut cases = Vec::new();
        while let Some(mut draft) = open.pop() {
            if !self.settle(&mut draft) {
                continue;
            }
            let Some(split) = draft.splits.pop() else {
                cases.extend(self.case(draft, place.declaring.clone()));
                continue;
            };
            if cases.len() + open.len() + split.len() > MOST_CASES {
                draft.imprecise = true;
                open.push(draft);
                continue;
            }
            for (accepted, refused) in split {
                let mut alternative = draft.clone();
                alternative.pending.extend(accepted);
                for id in refused {
                    insert(&mut alternative.refused, id);
                }
                open.push(alternative);
            }
        }
        cases.reverse();
        cases
    }

    /// Adds everything that certainly applies; false when nothing can be there.
    fn settle(&self, draft: &mut Draft) -> bool {
        loop {
            while let Some(id) = draft.pending.pop() {
                if draft.known.binary_search(&id).is_ok() {
                    continue;
                }
                insert(&mut draft.known, id);
                let node = &self.schemas[id];
                draft.types = draft.types.and(node.types);
                if node.nothing || draft.types.is_empty() {
                    return false;
                }
                draft.imprecise |= node.unresolved.is_some() || !node.opaque.is_empty();
                draft.pending.extend(node.always_applied());
                if let Some(id) = node.not {
                    insert(&mut draft.refused, id);
                }
                if let Some(branches) = &node.any_of {
                    draft
                        .splits
                        .push(branches.iter().map(|id| (vec![*id], Vec::new())).collect());
                }
                if let Some(branches) = &node.one_of {
                    let others = |chosen: &Id| {
                        branches
                            .iter()
                            .filter(|id| *id != chosen)
                            .copied()
                            .collect()
                    };
                    draft
                        .splits
                        .push(branches.iter().map(|id| (vec![*id], others(id))).collect());
                }
                if let Some(condition) = &node.condition
                    && (condition.then.is_some() || condition.otherwise.is_some())
                {
                    let met = std::iter::once(condition.test)
                        .chain(condition.then)
                        .collect();
                    let unmet = condition.otherwise.into_iter().collect();
                    draft
                        .splits
                        .push(vec![(met, Vec::new()), (unmet, vec![condition.test])]);
                }
            }
            // What depends on a property that is certainly there.
            if draft
                .known
                .iter()
                .any(|id| !self.schemas[*id].dependent_schemas.is_empty())
            {
                let required = self.required(&draft.known);
                for id in &draft.known {
                    for (name, schema) in &self.schemas[*id].dependent_schemas {
                        if required.contains(name.as_str())
                            && draft.known.binary_search(schema).is_err()
                        {
                            draft.pending.push(*schema);
                        }
                    }
                }
            }
            if draft.pending.is_empty() {
                return !draft
                    .refused
                    .iter()
                    .any(|id| draft.known.binary_search(id).is_ok());
            }
        }
    }

    fn case(&self, draft: Draft, declaring: Option<Vec<Id>>) -> Option<Case> {
        let mut case = Case {
            place: Place {
                known: draft.known,
                refused: draft.refused,
                declaring,
            },
            types: draft.types,
            values: None,
            imprecise: draft.imprecise,
        };
        let mut lists = case
            .place
            .known
            .iter()
            .filter_map(|id| self.schemas[*id].values.as_ref());
        let listed = lists.next().cloned();
        let finite = listed.or_else(|| finite_values(case.types));
        if let Some(values) = finite {
            let possible = |value: &Value| {
                let evaluator = self.evaluator();
                case.types.contains(Types::of(value))
                    && case
                        .place
                        .known
                        .iter()
                        .all(|id| evaluator.accepts(*id, value) != Some(false))
                    && case
                        .place
                        .refused
                        .iter()
                        .all(|id| evaluator.accepts(*id, value) != Some(true))
            };
            let mut kept: Vec<Value> = Vec::new();
            for value in values {
                if possible(&value) && !kept.iter().any(|other| equal(other, &value)) {
                    kept.push(value);
                }
            }
            if kept.is_empty() {
                return None;
            }
            case.types = kept
                .iter()
                .fold(Types::NONE, |all, value| all.or(Types::of(value)));
            case.values = Some(kept);
        }
        Some(case)
    }

    pub(super) fn nodes<'s>(&'s self, case: &'s Case) -> impl Iterator<Item = &'s Node> + 's {
        case.place.known.iter().map(|id| &self.schemas[*id])
    }

    pub(super) fn minimum(&self, case: &Case) -> Option<Bound> {
        self.nodes(case)
            .filter_map(|node| node.minimum)
            .reduce(tighter_minimum)
    }

    pub(super) fn maximum(&self, case: &Case) -> Option<Bound> {
        self.nodes(case)
            .filter_map(|node| node.maximum)
            .reduce(tighter_maximum)
    }

    pub(super) fn min_items(&self, case: &Case) -> u64 {
        self.nodes(case)
            .filter_map(|node| node.min_items)
            .max()
            .unwrap_or(0)
    }

    /// The most items, also when an item that cannot be is what limits them.
    pub(super) fn max_items(&self, case: &Case) -> Option<u64> {
        let stated = self.nodes(case).filter_map(|node| node.max_items).min();
        let longest = self.longest_prefix(case);
        let blocked = (0..=longest)
            .find(|index| self.item(case, *index).is_none())
            .map(|index| index as u64);
        match (stated, blocked) {
            (Some(stated), Some(blocked)) => Some(stated.min(blocked)),
            (stated, blocked) => stated.or(blocked),
        }
    }

    pub(super) fn longest_prefix(&self, case: &Case) -> usize {
        self.nodes(case)
            .map(|node| node.prefix.len())
            .max()
            .unwrap_or(0)
    }

    /// The place of the item with this index; None when there can be none. Beyond the longest prefix all are the same.
    pub(super) fn item(&self, case: &Case, index: usize) -> Option<Place> {
        let mut place = Place::default();
        for id in &case.place.known {
            let node = &self.schemas[*id];
            if let Some(schema) = node.prefix.get(index).copied().or(node.items) {
                insert(&mut place.known, schema);
            }
            if let Some(schema) = node.unevaluated_items
                && !self.may_evaluate_item(*id, index)
            {
                insert(&mut place.known, schema);
            }
        }
        if place.known.iter().any(|id| self.schemas[*id].nothing) {
            return None;
        }
        place.declaring = case.place.declaring.as_ref().map(|declaring| {
            let mut inner = Vec::new();
            for id in declaring {
                let node = &self.schemas[*id];
                let of_node = node.prefix.get(index).copied().or(node.items);
                let contained = node.contains.as_ref().map(|contains| contains.schema);
                for id in of_node
                    .into_iter()
                    .chain(contained)
                    .chain(node.unevaluated_items)
                {
                    self.declare(&mut inner, id);
                }
            }
            inner
        });
        Some(place)
    }

    /// Whether the schema, or anything that it may apply to the same instance, may evaluate the item.
    fn may_evaluate_item(&self, id: Id, index: usize) -> bool {
        let mut reached = Vec::new();
        self.declare(&mut reached, id);
        reached.iter().any(|one| {
            let node = &self.schemas[*one];
            index < node.prefix.len()
                || node.items.is_some()
                || node.contains.is_some()
                || node.unresolved.is_some()
                || !node.opaque.is_empty()
                || (*one != id && node.unevaluated_items.is_some())
        })
    }

    /// Adds a schema of the writer, and all that it may apply to the same instance, to those that declare.
    pub(super) fn declare(&self, declaring: &mut Vec<Id>, id: Id) {
        let mut rest = vec![id];
        while let Some(id) = rest.pop() {
            if declaring.binary_search(&id).is_err() {
                insert(declaring, id);
                rest.extend(self.schemas[id].in_place());
            }
        }
    }

    /// The names that are certainly there.
    pub(super) fn required(&self, known: &[Id]) -> BTreeSet<&str> {
        let mut required: BTreeSet<&str> = BTreeSet::new();
        for id in known {
            required.extend(self.schemas[*id].required.iter().map(String::as_str));
        }
        loop {
            let before = required.len();
            for id in known {
                for (name, others) in &self.schemas[*id].dependent_required {
                    if required.contains(name.as_str()) {
                        required.extend(others.iter().map(String::as_str));
                    }
                }
            }
            if required.len() == before {
                return required;
            }
        }
    }

    /// The names that the schemas of the case spell out.
    pub(super) fn spelled_names(&self, case: &Case) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for id in case
            .place
            .known
            .iter()
            .chain(case.place.declaring.iter().flatten())
        {
            let node = &self.schemas[*id];
            names.extend(node.properties.keys().cloned());
            names.extend(node.required.iter().cloned());
            for (name, others) in &node.dependent_required {
                names.insert(name.clone());
                names.extend(others.iter().cloned());
            }
            names.extend(node.dependent_schemas.iter().map(|(name, _)| name.clone()));
        }
        names.extend(self.finite_names(case).into_iter().flatten());
        names
    }

    /// All names, when `propertyNames` lists them.
    fn finite_names(&self, case: &Case) -> Option<Vec<String>> {
        self.nodes(case)
            .filter_map(|node| self.schemas[node.names?].values.as_ref())
            .map(|values| {
                values
                    .iter()
                    .filter_map(|value| value.as_str().map(str::to_owned))
                    .collect()
            })
            .next()
    }

    /// Whether the writer writes nothing but what is declared here.
    pub(super) fn is_closed(&self, case: &Case) -> bool {
        let describes = |node: &Node| {
            node.side == Side::Writer
                && (!node.properties.is_empty()
                    || !node.patterns.is_empty()
                    || node.additional.is_some_and(|id| self.schemas[id].nothing))
        };
        case.place.declaring.is_some() && self.nodes(case).any(describes)
    }

    fn opens(&self, node: &Node) -> bool {
        let open = |schema: Option<Id>| schema.is_some_and(|id| !self.schemas[id].nothing);
        open(node.additional)
            || open(node.unevaluated_properties)
            || node.unresolved.is_some()
            || !node.opaque.is_empty()
    }

    /// The place of the property with this name; None when it cannot be there.
    pub(super) fn property(&self, case: &Case, name: &str) -> Option<Place> {
        let mut place = Place::default();
        let evaluator = self.evaluator();
        for id in &case.place.known {
            let node = &self.schemas[*id];
            let mut described = Some(false);
            if let Some(schema) = node.properties.get(name) {
                described = Some(true);
                insert(&mut place.known, *schema);
            }
            for (pattern, schema) in &node.patterns {
                match pattern.is_match(name) {
                    Some(true) => {
                        described = Some(true);
                        insert(&mut place.known, *schema);
                    }
                    None if described == Some(false) => described = None,
                    _ => {}
                }
            }
            if let Some(schema) = node.additional
                && described == Some(false)
            {
                insert(&mut place.known, schema);
            }
            if let Some(schema) = node.unevaluated_properties
                && !self.may_evaluate(*id, name)
            {
                insert(&mut place.known, schema);
            }
            if let Some(names) = node.names
                && evaluator.accepts(names, &Value::String(name.to_owned())) == Some(false)
            {
                return None;
            }
            if node.max_properties == Some(0) {
                return None;
            }
        }
        if place.known.iter().any(|id| self.schemas[*id].nothing) {
            return None;
        }
        if let Some(declaring) = &case.place.declaring {
            if self.is_closed(case) && !declaring.iter().any(|id| self.declares(*id, name)) {
                return None;
            }
            let mut inner = Vec::new();
            for id in declaring {
                let node = &self.schemas[*id];
                let by_name = node.properties.get(name);
                let by_pattern = node
                    .patterns
                    .iter()
                    .filter(|(pattern, _)| pattern.is_match(name) != Some(false))
                    .map(|(_, schema)| *schema);
                for schema in by_name
                    .copied()
                    .into_iter()
                    .chain(by_pattern)
                    .chain(node.unevaluated_properties)
                {
                    self.declare(&mut inner, schema);
                }
                if by_name.is_none()
                    && let Some(schema) = node.additional
                {
                    self.declare(&mut inner, schema);
                }
            }
            place.declaring = Some(inner);
        }
        Some(place)
    }

    fn declares(&self, id: Id, name: &str) -> bool {
        let node = &self.schemas[id];
        node.properties.contains_key(name)
            || node.required.iter().any(|required| required == name)
            || node
                .dependent_required
                .iter()
                .any(|(from, others)| from == name || others.iter().any(|other| other == name))
            || node.dependent_schemas.iter().any(|(from, _)| from == name)
            || node
                .patterns
                .iter()
                .any(|(pattern, _)| pattern.is_match(name) != Some(false))
            || self.opens(node)
    }

    /// Whether the schema, or anything that it may apply to the same instance, may evaluate the property.
    fn may_evaluate(&self, id: Id, name: &str) -> bool {
        let mut reached = Vec::new();
        self.declare(&mut reached, id);
        reached.iter().any(|one| {
            let node = &self.schemas[*one];
            node.properties.contains_key(name)
                || node
                    .patterns
                    .iter()
                    .any(|(pattern, _)| pattern.is_match(name) != Some(false))
                || node.additional.is_some()
                || node.unresolved.is_some()
                || !node.opaque.is_empty()
                || (*one != id && node.unevaluated_properties.is_some())
        })
    }

    /// The properties that may be there without being spelled out, by kind.
    pub(super) fn other_names(&self, case: &Case) -> Vec<OtherNames> {
        if self.finite_names(case).is_some()
            || self.nodes(case).any(|node| node.max_properties == Some(0))
        {
            return Vec::new();
        }
        let mut texts: Vec<&str> = Vec::new();
        for node in self.nodes(case) {
            for (pattern, _) in &node.patterns {
                if !texts.contains(&pattern.text()) {
                    texts.push(pattern.text());
                }
            }
        }
        let declaring = case.place.declaring.as_ref().map(|declaring| {
            let mut inner = Vec::new();
            for id in declaring {
                let node = &self.schemas[*id];
                let by_pattern = node.patterns.iter().map(|(_, schema)| *schema);
                for schema in by_pattern
                    .chain(node.additional)
                    .chain(node.unevaluated_properties)
                {
                    self.declare(&mut inner, schema);
                }
            }
            inner
        });
        let mut kinds = Vec::new();
        for text in std::iter::once(None).chain(texts.iter().copied().map(Some)) {
            if text.is_none() && self.is_closed(case) {
                let nodes = || {
                    case.place
                        .declaring
                        .iter()
                        .flatten()
                        .map(|id| &self.schemas[*id])
                };
                let opened = nodes().any(|node| self.opens(node))
                    || nodes().any(|node| {
                        node.patterns
                            .iter()
                            .any(|(pattern, _)| !texts.contains(&pattern.text()))
                    });
                if !opened {
                    continue;
                }
            }
            let mut known = Vec::new();
            let mut example = "other".to_owned();
            for node in self.nodes(case) {
                let mut described = text.is_some() && !node.patterns.is_empty();
                for (pattern, schema) in &node.patterns {
                    if Some(pattern.text()) == text {
                        described = true;
                        insert(&mut known, *schema);
                        example = pattern.examples().into_iter().next().unwrap_or(example);
                    }
                }
                if let Some(schema) = node.additional
                    && !described
                {
                    insert(&mut known, schema);
                }
            }
            // `unevaluatedProperties` that nothing else can satisfy.
            for id in &case.place.known {
                if let Some(schema) = self.schemas[*id].unevaluated_properties
                    && text.is_none()
                    && self.evaluates_no_other(*id)
                {
                    insert(&mut known, schema);
                }
            }
            if !known.iter().any(|id| self.schemas[*id].nothing) {
                kinds.push(OtherNames {
                    pattern: text.map(str::to_owned),
                    example,
                    place: Place {
                        known,
                        refused: Vec::new(),
                        declaring: declaring.clone(),
                    },
                });
            }
        }
        kinds
    }

    fn evaluates_no_other(&self, id: Id) -> bool {
        let mut reached = Vec::new();
        self.declare(&mut reached, id);
        reached.iter().all(|one| {
            let node = &self.schemas[*one];
            node.patterns.is_empty()
                && node.additional.is_none()
                && node.unresolved.is_none()
                && node.opaque.is_empty()
                && (*one == id || node.unevaluated_properties.is_none())
        })
    }
}

/// All values of types that have few.
fn finite_values(types: Types) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    for one in types.iter() {
        match one {
            Types::NULL => values.push(Value::Null),
            Types::BOOLEAN => values.extend([Value::Bool(false), Value::Bool(true)]),
            _ => return None,
        }
    }
    Some(values)
}
