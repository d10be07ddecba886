//! Whether a schema accepts an instance: yes, no, or not certain.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::format;
use super::number::Decimal;
use super::schema::{Id, Node, Schemas};
use super::types::Types;

/// Schemas that apply themselves to the same instance in a circle end here, and answer "not certain".
const MOST_DEPTH: u32 = 96;

/// Longer arrays are not compared item by item.
const MOST_UNIQUE: usize = 256;

/// Equal as JSON Schema has it: `1` and `1.0` are the same number.
pub(super) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            match (Decimal::of(one), Decimal::of(other)) {
                (Some(one), Some(other)) => one == other,
                _ => one == other,
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|other| equal(value, other)))
        }
        _ => one == other,
    }
}

/// Joins answers by "and".
struct All(Option<bool>);

impl All {
    fn new() -> Self {
        Self(Some(true))
    }

    /// Takes one answer in; false when the whole is decided.
    fn and(&mut self, answer: Option<bool>) -> bool {
        self.0 = match (self.0, answer) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        self.0 != Some(false)
    }
}

/// Joins answers by "or".
fn any(answers: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut whole = Some(false);
    for answer in answers {
        match answer {
            Some(true) => return Some(true),
            None => whole = None,
            Some(false) => {}
        }
    }
    whole
}

/// Evaluates instances, with a limit to all the work together.
pub(super) struct Evaluator<'a> {
    schemas: &'a Schemas,
    fuel: &'a Cell<u64>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(schemas: &'a Schemas, fuel: &'a Cell<u64>) -> Self {
        Self { schemas, fuel }
    }

    /// Whether the schema accepts the instance; None when that is not certain.
    pub(super) fn accepts(&self, id: Id, instance: &Value) -> Option<bool> {
        self.judge(id, instance, 0)
    }

    fn judge(&self, id: Id, instance: &Value, depth: u32) -> Option<bool> {
        if depth > MOST_DEPTH || self.fuel.get() == 0 {
            return None;
        }
        self.fuel.set(self.fuel.get() - 1);
        let node = &self.schemas[id];
        if node.nothing {
            return Some(false);
        }
        let mut all = All::new();
        let _ = all.and(Some(node.types.contains(Types::of(instance))))
            && all.and(Some(
                node.values
                    .as_ref()
                    .is_none_or(|values| values.contains(instance)),
            ))
            && match instance {
                Value::Number(number) => all.and(Self::number(node, number)),
                Value::String(text) => all.and(Self::string(node, text)),
                Value::Array(items) => all.and(self.array(node, items, depth)),
                Value::Object(members) => all.and(self.object(node, instance, members, depth)),
                Value::Null | Value::Bool(_) => true,
            }
            && all.and(self.combinations(node, instance, depth));
        if node.unresolved.is_some() || !node.opaque.is_empty() {
            all.and(None);
        }
        all.0
    }

    fn number(node: &Node, number: &serde_json::Number) -> Option<bool> {
        let value = Decimal::of(number)?;
        let mut all = All::new();
        if let Some(bound) = node.minimum {
            all.and(Some(
                value > bound.value || (value == bound.value && !bound.exclusive),
            ));
        }
        if let Some(bound) = node.maximum {
            all.and(Some(
                value < bound.value || (value == bound.value && !bound.exclusive),
            ));
        }
        if let Some(step) = node.multiple_of {
            all.and(value.is_multiple_of(step));
        }
        if let Some((least, most)) = node.format.as_deref().and_then(format::integers) {
            // Outside the range some validators refuse and some do not.
            all.and((value.is_integer() && least <= value && value <= most).then_some(true));
        }
        all.0
    }

    fn string(node: &Node, text: &str) -> Option<bool> {
        let mut all = All::new();
        if node.min_length.is_some() || node.max_length.is_some() {
            let length = text.chars().count() as u64;
            all.and(Some(node.min_length.is_none_or(|least| length >= least)));
            all.and(Some(node.max_length.is_none_or(|most| length <= most)));
        }
        if let Some(pattern) = &node.pattern {
            all.and(pattern.is_match(text));
        }
        if let Some(format) = &node.format
            && !format::is_numeric(format)
        {
            all.and(format::accepts(format, text));
        }
        all.0
    }

    fn array(&self, node: &Node, items: &[Value], depth: u32) -> Option<bool> {
        let mut all = All::new();
        let length = items.len() as u64;
        all.and(Some(node.min_items.is_none_or(|least| length >= least)));
        all.and(Some(node.max_items.is_none_or(|most| length <= most)));
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = node.prefix.get(index).copied().or(node.items) {
                all.and(self.judge(schema, item, depth + 1));
            }
        }
        if node.unique_items {
            all.and((items.len() <= MOST_UNIQUE).then(|| {
                items
                    .iter()
                    .enumerate()
                    .all(|(index, item)| !items[..index].iter().any(|earlier| equal(earlier, item)))
            }));
        }
        if let Some(contains) = &node.contains {
            let answers: Vec<Option<bool>> = items
                .iter()
                .map(|item| self.judge(contains.schema, item, depth + 1))
                .collect();
            let certain = answers
                .iter()
                .filter(|answer| **answer == Some(true))
                .count() as u64;
            let possible =
                certain + answers.iter().filter(|answer| answer.is_none()).count() as u64;
            let at_least = |count| count >= contains.least;
            let at_most = |count| contains.most.is_none_or(|most| count <= most);
            all.and((at_least(certain) == at_least(possible)).then_some(at_least(certain)));
            all.and((at_most(certain) == at_most(possible)).then_some(at_most(certain)));
        }
        if let Some(schema) = node.unevaluated_items {
            for (index, item) in items.iter().enumerate() {
                match self.evaluates_item(node, index, items, item, depth, true) {
                    Some(true) => {}
                    Some(false) => drop(all.and(self.judge(schema, item, depth + 1))),
                    None => drop(
                        all.and(
                            self.judge(schema, item, depth + 1)
                                .filter(|accepted| *accepted),
                        ),
                    ),
                }
            }
        }
        all.0
    }

    fn object(
        &self,
        node: &Node,
        instance: &Value,
        members: &Map<String, Value>,
        depth: u32,
    ) -> Option<bool> {
        let mut all = All::new();
        let count = members.len() as u64;
        all.and(Some(node.min_properties.is_none_or(|least| count >= least)));
        all.and(Some(node.max_properties.is_none_or(|most| count <= most)));
        all.and(Some(
            node.required.iter().all(|name| members.contains_key(name)),
        ));
        for (name, others) in &node.dependent_required {
            if members.contains_key(name) {
                all.and(Some(others.iter().all(|other| members.contains_key(other))));
            }
        }
        for (name, schema) in &node.dependent_schemas {
            if members.contains_key(name) {
                all.and(self.judge(*schema, instance, depth + 1));
            }
        }
        for (name, value) in members {
            let mut described = Some(false);
            if let Some(schema) = node.properties.get(name) {
                described = Some(true);
                all.and(self.judge(*schema, value, depth + 1));
            }
            for (pattern, schema) in &node.patterns {
                let matches = pattern.is_match(name);
                described = any([described, matches]);
                match matches {
                    Some(true) => drop(all.and(self.judge(*schema, value, depth + 1))),
                    None => drop(
                        all.and(
                            self.judge(*schema, value, depth + 1)
                                .filter(|accepted| *accepted),
                        ),
                    ),
                    Some(false) => {}
                }
            }
            if let Some(schema) = node.additional {
                match described {
                    Some(false) => drop(all.and(self.judge(schema, value, depth + 1))),
                    None => drop(
                        all.and(
                            self.judge(schema, value, depth + 1)
                                .filter(|accepted| *accepted),
                        ),
                    ),
                    Some(true) => {}
                }
            }
            if let Some(names) = node.names {
                all.and(self.judge(names, &Value::String(name.clone()), depth + 1));
            }
            if let Some(schema) = node.unevaluated_properties {
                match self.evaluates_property(node, name, instance, depth, true) {
                    Some(true) => {}
                    Some(false) => drop(all.and(self.judge(schema, value, depth + 1))),
                    None => drop(
                        all.and(
                            self.judge(schema, value, depth + 1)
                                .filter(|accepted| *accepted),
                        ),
                    ),
                }
            }
        }
        all.0
    }

    fn combinations(&self, node: &Node, instance: &Value, depth: u32) -> Option<bool> {
        let mut all = All::new();
        for id in node.always_applied() {
            if !all.and(self.judge(id, instance, depth + 1)) {
                return Some(false);
            }
        }
        if let Some(branches) = &node.any_of {
            all.and(any(branches
                .iter()
                .map(|id| self.judge(*id, instance, depth + 1))));
        }
        if let Some(branches) = &node.one_of {
            let answers: Vec<Option<bool>> = branches
                .iter()
                .map(|id| self.judge(*id, instance, depth + 1))
                .collect();
            let certain = answers
                .iter()
                .filter(|answer| **answer == Some(true))
                .count();
            let unsure = answers.iter().filter(|answer| answer.is_none()).count();
            all.and(match (certain, unsure) {
                (2.., _) | (0, 0) => Some(false),
                (1, 0) => Some(true),
                _ => None,
            });
        }
        if let Some(id) = node.not {
            all.and(
                self.judge(id, instance, depth + 1)
                    .map(|accepted| !accepted),
            );
        }
        if let Some(condition) = &node.condition {
            let then = || {
                condition
                    .then
                    .map_or(Some(true), |id| self.judge(id, instance, depth + 1))
            };
            let otherwise = || {
                condition
                    .otherwise
                    .map_or(Some(true), |id| self.judge(id, instance, depth + 1))
            };
            all.and(match self.judge(condition.test, instance, depth + 1) {
                Some(true) => then(),
                Some(false) => otherwise(),
                None => match (then(), otherwise()) {
                    (then, otherwise) if then == otherwise => then,
                    _ => None,
                },
            });
        }
        all.0
    }

    /// The schemas of the same instance that hold, and with them what they evaluate.
    fn holding(&self, node: &Node, instance: &Value, depth: u32) -> Vec<(Id, Option<bool>)> {
        let mut holding: Vec<(Id, Option<bool>)> =
            node.always_applied().map(|id| (id, Some(true))).collect();
        for id in node.any_of.iter().chain(&node.one_of).flatten() {
            holding.push((*id, self.judge(*id, instance, depth + 1)));
        }
        if let Some(condition) = &node.condition {
            let test = self.judge(condition.test, instance, depth + 1);
            holding.push((condition.test, test));
            holding.extend(condition.then.map(|id| (id, test)));
            holding.extend(condition.otherwise.map(|id| (id, test.map(|holds| !holds))));
        }
        for (name, id) in &node.dependent_schemas {
            holding.push((*id, Some(instance.get(name).is_some())));
        }
        holding
    }

    fn evaluates_property(
        &self,
        node: &Node,
        name: &str,
        instance: &Value,
        depth: u32,
        top: bool,
    ) -> Option<bool> {
        if depth > MOST_DEPTH || self.fuel.get() == 0 {
            return None;
        }
        self.fuel.set(self.fuel.get() - 1);
        if node.properties.contains_key(name)
            || node.additional.is_some()
            || (!top && node.unevaluated_properties.is_some())
        {
            return Some(true);
        }
        if node.unresolved.is_some() || !node.opaque.is_empty() {
            return None;
        }
        let by_pattern = any(node
            .patterns
            .iter()
            .map(|(pattern, _)| pattern.is_match(name)));
        let by_others = self
            .holding(node, instance, depth)
            .into_iter()
            .map(|(id, holds)| {
                let evaluates = match holds {
                    Some(false) => return Some(false),
                    _ => {
                        self.evaluates_property(&self.schemas[id], name, instance, depth + 1, false)
                    }
                };
                if holds.is_none() && evaluates != Some(false) {
                    None
                } else {
                    evaluates
                }
            });
        any(std::iter::once(by_pattern).chain(by_others))
    }

    fn evaluates_item(
        &self,
        node: &Node,
        index: usize,
        items: &[Value],
        item: &Value,
        depth: u32,
        top: bool,
    ) -> Option<bool> {
        if depth > MOST_DEPTH || self.fuel.get() == 0 {
            return None;
        }
        self.fuel.set(self.fuel.get() - 1);
        if index < node.prefix.len()
            || node.items.is_some()
            || (!top && node.unevaluated_items.is_some())
        {
            return Some(true);
        }
        if node.unresolved.is_some() || !node.opaque.is_empty() {
            return None;
        }
        let instance = Value::Array(items.to_vec());
        let by_contains = node.contains.as_ref().map_or(Some(false), |contains| {
            self.judge(contains.schema, item, depth + 1)
        });
        let by_others = self
            .holding(node, &instance, depth)
            .into_iter()
            .map(|(id, holds)| {
                let evaluates = match holds {
                    Some(false) => return Some(false),
                    _ => {
                        self.evaluates_item(&self.schemas[id], index, items, item, depth + 1, false)
                    }
                };
                if holds.is_none() && evaluates != Some(false) {
                    None
                } else {
                    evaluates
                }
            });
        any(std::iter::once(by_contains).chain(by_others))
    }

    /// All names that the schema and what it applies to the same instance speak of.
    pub(super) fn names(&self, id: Id) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut rest = vec![id];
        while let Some(id) = rest.pop() {
            if !seen.insert(id) {
                continue;
            }
            let node = &self.schemas[id];
            names.extend(node.properties.keys().cloned());
            names.extend(node.required.iter().cloned());
            for (name, others) in &node.dependent_required {
                names.insert(name.clone());
                names.extend(others.iter().cloned());
            }
            names.extend(node.dependent_schemas.iter().map(|(name, _)| name.clone()));
            rest.extend(node.in_place());
        }
        names
    }
}
