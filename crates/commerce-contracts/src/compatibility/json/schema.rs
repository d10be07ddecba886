//! A schema as the checker sees it: references resolved, the dialects' differences gone.

use std::collections::BTreeMap;

use serde_json::Value;

use super::number::Decimal;
use super::pattern::Pattern;
use super::types::Types;
use super::values::Values;

/// A schema or subschema in the [`Schemas`].
pub(super) type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Writer,
    Reader,
    /// Made by the checker.
    Built,
}

/// A limit of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) value: Decimal,
    pub(super) exclusive: bool,
}

#[derive(Debug)]
pub(super) struct Contains {
    pub(super) schema: Id,
    pub(super) least: u64,
    pub(super) most: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Condition {
    pub(super) test: Id,
    pub(super) then: Option<Id>,
    pub(super) otherwise: Option<Id>,
}

/// One schema. Every field is one assertion or applicator; a schema accepts what all of them accept.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) side: Side,
    pub(super) pointer: String,
    /// `true` and `false` are schemas.
    pub(super) nothing: bool,
    pub(super) types: Types,
    pub(super) values: Option<Values>,
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) multiple_of: Option<Decimal>,
    pub(super) min_length: Option<u64>,
    pub(super) max_length: Option<u64>,
    pub(super) pattern: Option<Pattern>,
    pub(super) format: Option<String>,
    pub(super) prefix: Vec<Id>,
    pub(super) items: Option<Id>,
    pub(super) unevaluated_items: Option<Id>,
    pub(super) min_items: Option<u64>,
    pub(super) max_items: Option<u64>,
    pub(super) unique_items: bool,
    pub(super) contains: Option<Contains>,
    pub(super) properties: BTreeMap<String, Id>,
    pub(super) patterns: Vec<(Pattern, Id)>,
    pub(super) additional: Option<Id>,
    pub(super) unevaluated_properties: Option<Id>,
    pub(super) required: Vec<String>,
    pub(super) names: Option<Id>,
    pub(super) min_properties: Option<u64>,
    pub(super) max_properties: Option<u64>,
    pub(super) dependent_required: Vec<(String, Vec<String>)>,
    /// What the draft calls the keyword of `dependent_required`.
    pub(super) dependent_keyword: &'static str,
    pub(super) dependent_schemas: Vec<(String, Id)>,
    pub(super) all_of: Vec<Id>,
    pub(super) any_of: Option<Vec<Id>>,
    pub(super) one_of: Option<Vec<Id>>,
    pub(super) not: Option<Id>,
    pub(super) condition: Option<Condition>,
    pub(super) reference: Option<Id>,
    /// The text of a `$ref` that could not be followed.
    pub(super) unresolved: Option<String>,
    /// Assertions whose meaning is left to validators: only the very same text on both sides is understood.
    pub(super) opaque: Vec<(&'static str, Value)>,
}

impl Node {
    pub(super) fn new(side: Side, pointer: String) -> Self {
        Self {
            side,
            pointer,
            nothing: false,
            types: Types::ALL,
            values: None,
            minimum: None,
            maximum: None,
            multiple_of: None,
            min_length: None,
            max_length: None,
            pattern: None,
            format: None,
            prefix: Vec::new(),
            items: None,
            unevaluated_items: None,
            min_items: None,
            max_items: None,
            unique_items: false,
            contains: None,
            properties: BTreeMap::new(),
            patterns: Vec::new(),
            additional: None,
            unevaluated_properties: None,
            required: Vec::new(),
            names: None,
            min_properties: None,
            max_properties: None,
            dependent_required: Vec::new(),
            dependent_keyword: "dependentRequired",
            dependent_schemas: Vec::new(),
            all_of: Vec::new(),
            any_of: None,
            one_of: None,
            not: None,
            condition: None,
            reference: None,
            unresolved: None,
            opaque: Vec::new(),
        }
    }

    /// The schemas that judge the same instance as this one and must accept it.
    pub(super) fn always_applied(&self) -> impl Iterator<Item = Id> + '_ {
        self.all_of.iter().copied().chain(self.reference)
    }

    /// All schemas that may judge the same instance as this one.
    pub(super) fn in_place(&self) -> Vec<Id> {
        let mut ids: Vec<Id> = self.always_applied().collect();
        ids.extend(self.any_of.iter().flatten());
        ids.extend(self.one_of.iter().flatten());
        ids.extend(self.not);
        ids.extend(self.dependent_schemas.iter().map(|(_, id)| *id));
        if let Some(condition) = &self.condition {
            ids.push(condition.test);
            ids.extend(condition.then);
            ids.extend(condition.otherwise);
        }
        ids
    }
}

/// The schemas of both sides.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    pub(super) nodes: Vec<Node>,
}

impl std::ops::Index<Id> for Schemas {
    type Output = Node;

    fn index(&self, id: Id) -> &Node {
        &self.nodes[id]
    }
}

impl Schemas {
    /// A schema of the checker's own.
    pub(super) fn build(&mut self, make: impl FnOnce(&mut Node)) -> Id {
        let mut node = Node::new(Side::Built, String::new());
        make(&mut node);
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

pub(super) fn tighter_minimum(one: Bound, other: Bound) -> Bound {
    let tighter = one.value > other.value || (one.value == other.value && one.exclusive);
    if tighter { one } else { other }
}

pub(super) fn tighter_maximum(one: Bound, other: Bound) -> Bound {
    let tighter = one.value < other.value || (one.value == other.value && one.exclusive);
    if tighter { one } else { other }
}

/// A JSON pointer, one step longer.
pub(super) fn step(pointer: &str, token: &str) -> String {
    let mut longer = String::with_capacity(pointer.len() + token.len() + 1);
    longer.push_str(pointer);
    longer.push('/');
    for character in token.chars() {
        match character {
            '~' => longer.push_str("~0"),
            '/' => longer.push_str("~1"),
            other => longer.push(other),
        }
    }
    longer
}
