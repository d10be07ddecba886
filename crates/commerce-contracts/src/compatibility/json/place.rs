//! What is known about the instances at one place: schemas that accept them, schemas that refuse them, and, under the closed reading
//! of writers, which schemas declare what may be written there.
//!
//! Everything here errs to one side: it may allow instances that the writer never writes, it must not lose one that it may write.

use serde_json::Value;

use super::checker::Checker;
use super::schema::{Bound, Id, Node, tighter_maximum, tighter_minimum};
use super::types::Types;

/// More alternatives than this are not told apart.
const MOST_CASES: usize = 64;

/// Choices between alternatives that are made: those that lead to nothing make no case, and there may be very many.
const MOST_CHOICES: usize = 256;

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
        let mut looked_at = 0;
        while let Some(mut draft) = open.pop() {
            let possible = self.settle(&mut draft);
            self.spend(1 + draft.known.len() / 8);
            if !possible {
                continue;
            }
            let Some(split) = draft.splits.pop() else {
                cases.extend(self.case(draft, place.declaring.clone()));
                continue;
            };
            looked_at += 1;
            if looked_at > MOST_CHOICES || cases.len() + open.len() + split.len() > MOST_CASES {
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
            // What depends on a property that is certainly there: `required` binds objects only.
            if draft.types == Types::OBJECT
                && draft
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
        let listed = lists.next().map(|values| values.iter().cloned().collect());
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
            let kept: Vec<Value> = values.into_iter().filter(possible).collect();
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
