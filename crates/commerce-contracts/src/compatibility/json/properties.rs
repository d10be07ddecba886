//! What is known about the properties of an object: their names, and the place of each.

use std::collections::BTreeSet;

use serde_json::Value;

use super::checker::Checker;
use super::place::{Case, Place, insert};
use super::schema::{Id, Node, Side};

/// The names of properties that no schema spells out.
#[derive(Clone, Debug)]
pub(super) struct OtherNames {
    /// The pattern that they match, when there is one.
    pub(super) pattern: Option<String>,
    /// A name of this kind.
    pub(super) example: String,
    pub(super) place: Place,
}

impl Checker<'_> {
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
        self.spend(texts.len() * texts.len() / 8);
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
