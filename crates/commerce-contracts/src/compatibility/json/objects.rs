//! Goals about objects.

use serde_json::Value;

use super::checker::Checker;
use super::finding::{Found, Step};
use super::place::{Case, Place, insert};
use super::schema::{Id, Node, Schemas, step};
use crate::compatibility::Rule;
use crate::compatibility::report::Verdict;

impl Checker<'_> {
    pub(super) fn prove_object(
        &mut self,
        case: &Case,
        node: &Node,
        goal: Id,
        found: &mut Vec<Found>,
    ) {
        self.prove_required(case, node, goal, found);
        for (name, schema) in &node.properties {
            let Some(place) = self.property(case, name) else {
                continue;
            };
            let of_property = self.included_at(Step::Property(name.clone()), &place, *schema);
            let spelled = case
                .place
                .known
                .iter()
                .any(|id| self.schemas[*id].properties.contains_key(name));
            if of_property.is_empty() || spelled || !place.known.is_empty() {
                found.extend(of_property.iter().cloned());
                continue;
            }
            let message = format!(
                "The writer may write {name:?} with any value, for its object is open, and the reader now expects a certain one: close the writer's object, or publish a new version."
            );
            let mut one = self.note(
                case,
                *schema,
                Rule::PropertyAddedToOpenContentModel,
                Verdict::Incompatible,
                self.schemas[*schema].pointer.clone(),
                |node| !node.properties.is_empty(),
                "",
                message,
            );
            one.place = place;
            one.steps.push(Step::Property(name.clone()));
            found.push(one);
        }
        if !node.patterns.is_empty() {
            self.prove_patterns(case, node, found);
        }
        if let Some(schema) = node.additional {
            self.prove_additional(case, node, schema, goal, found);
        }
        if let Some(names) = node.names {
            self.prove_names(case, node, names, goal, found);
        }
        self.prove_counts(case, node, goal, found);
        self.prove_dependencies(case, node, goal, found);
        if let Some(schema) = node.unevaluated_properties {
            self.prove_unevaluated(case, node, schema, goal, found);
        }
    }

    fn prove_required(&self, case: &Case, node: &Node, goal: Id, found: &mut Vec<Found>) {
        let required = self.required(&case.place.known);
        for name in &node.required {
            if !required.contains(name.as_str()) {
                let message = format!(
                    "The reader requires {name:?}, which the writer may leave out (a `default` does not put it into the data): make it optional in the reader, or publish a new version."
                );
                found.push(self.note(
                    case,
                    goal,
                    Rule::RequiredAttributeAdded,
                    Verdict::Incompatible,
                    step(&node.pointer, "required"),
                    |node| !node.properties.is_empty(),
                    "",
                    message,
                ));
            }
        }
    }

    fn prove_patterns(&mut self, case: &Case, node: &Node, found: &mut Vec<Found>) {
        let names = self.spelled_names(case);
        let others = self.other_names(case);
        for (pattern, schema) in &node.patterns {
            for name in &names {
                if pattern.is_match(name) == Some(false) {
                    continue;
                }
                if let Some(place) = self.property(case, name) {
                    found.extend(
                        self.included_at(Step::Property(name.clone()), &place, *schema)
                            .iter()
                            .cloned(),
                    );
                }
            }
            let known = self.nodes(case).any(|node| {
                node.patterns
                    .iter()
                    .any(|(other, _)| other.text() == pattern.text())
            });
            for other in &others {
                // With the same pattern in the writer, what matches it is not among the rest.
                if known && other.pattern.is_none() {
                    continue;
                }
                let name = if other.pattern.as_deref() == Some(pattern.text()) {
                    other.example.clone()
                } else {
                    pattern
                        .examples()
                        .into_iter()
                        .next()
                        .unwrap_or_else(|| other.example.clone())
                };
                found.extend(
                    self.included_at(Step::Property(name), &other.place, *schema)
                        .iter()
                        .cloned(),
                );
            }
        }
    }

    fn prove_additional(
        &mut self,
        case: &Case,
        node: &Node,
        schema: Id,
        goal: Id,
        found: &mut Vec<Found>,
    ) {
        let nothing = self.schemas[schema].nothing;
        let pointer = step(&node.pointer, "additionalProperties");
        for name in self.spelled_names(case) {
            if node.properties.contains_key(&name)
                || node
                    .patterns
                    .iter()
                    .any(|(pattern, _)| pattern.is_match(&name) == Some(true))
            {
                continue;
            }
            let Some(place) = self.property(case, &name) else {
                continue;
            };
            let of_property = self.included_at(Step::Property(name.clone()), &place, schema);
            if !nothing || of_property.is_empty() {
                found.extend(of_property.iter().cloned());
                continue;
            }
            let message = format!(
                "The writer may write {name:?}, and the reader's closed object refuses it: keep the property in the reader, or leave its object open."
            );
            let mut one = self.note(
                case,
                goal,
                Rule::PropertyRemovedFromClosedContentModel,
                Verdict::Incompatible,
                pointer.clone(),
                |node| node.properties.contains_key(&name),
                "properties",
                message,
            );
            if self
                .nodes(case)
                .any(|node| node.properties.contains_key(&name))
            {
                one.difference.writer = step(&one.difference.writer, &name);
            }
            one.place = place;
            one.goal = schema;
            one.steps.push(Step::Property(name));
            found.push(one);
        }
        for other in self.other_names(case) {
            // The reader judges these by the same pattern, not here.
            if other.pattern.as_deref().is_some_and(|text| {
                node.patterns
                    .iter()
                    .any(|(pattern, _)| pattern.text() == text)
            }) {
                continue;
            }
            let of_others =
                self.included_at(Step::Property(other.example.clone()), &other.place, schema);
            if of_others.is_empty() {
                continue;
            }
            if !nothing {
                found.extend(of_others.iter().cloned());
                continue;
            }
            let message = "The writer may write further properties, and the reader's closed object refuses them: leave the reader's object open, or publish a new version.".to_owned();
            let mut one = self.note(
                case,
                goal,
                Rule::AdditionalPropertiesRemoved,
                Verdict::Incompatible,
                pointer.clone(),
                |node| node.additional.is_some() || !node.properties.is_empty(),
                "",
                message,
            );
            one.place = other.place;
            one.goal = schema;
            one.steps.push(Step::Property(other.example));
            found.push(one);
        }
    }

    fn prove_names(
        &mut self,
        case: &Case,
        node: &Node,
        names: Id,
        goal: Id,
        found: &mut Vec<Found>,
    ) {
        let pointer = step(&node.pointer, "propertyNames");
        for name in self.spelled_names(case) {
            if self.property(case, &name).is_none() {
                continue;
            }
            let accepted = self
                .evaluator()
                .accepts(names, &Value::String(name.clone()));
            if accepted != Some(true) {
                let verdict = if accepted == Some(false) {
                    Verdict::Incompatible
                } else {
                    Verdict::Unknown
                };
                let message = format!(
                    "The writer may write a property named {name:?}, which the reader's propertyNames refuses: allow the name, or publish a new version."
                );
                found.push(self.note(
                    case,
                    goal,
                    Rule::PropertyNamesNarrowed,
                    verdict,
                    pointer.clone(),
                    |node| node.properties.contains_key(&name),
                    "",
                    message,
                ));
            }
        }
        for other in self.other_names(case) {
            if let Some(text) = &other.pattern
                && self.requires_only_pattern(names, text)
            {
                continue;
            }
            let mut place = Place::default();
            for node in self.nodes(case) {
                if let Some(names) = node.names {
                    insert(&mut place.known, names);
                }
            }
            insert(&mut place.known, self.strings());
            self.descent += 1;
            let included = self.try_included(&place, names);
            self.descent -= 1;
            if !included {
                let message = "The writer may write properties with names that the reader's propertyNames refuses: allow them, or publish a new version.".to_owned();
                found.push(self.note(
                    case,
                    goal,
                    Rule::PropertyNamesNarrowed,
                    Verdict::Unknown,
                    pointer.clone(),
                    |node| node.names.is_some(),
                    "",
                    message,
                ));
                return;
            }
        }
    }

    /// Whether a schema asks of strings nothing but to match this pattern.
    fn requires_only_pattern(&self, id: Id, text: &str) -> bool {
        let node = &self.schemas[id];
        node.pattern
            .as_ref()
            .is_some_and(|pattern| pattern.text() == text)
            && !node.nothing
            && node.types.contains(super::types::Types::STRING)
            && node.values.is_none()
            && node.min_length.is_none()
            && node.max_length.is_none()
            && node.format.is_none()
            && node.in_place().is_empty()
            && node.unresolved.is_none()
            && node.opaque.is_empty()
    }

    fn prove_counts(&self, case: &Case, node: &Node, goal: Id, found: &mut Vec<Found>) {
        let required = self.required(&case.place.known).len() as u64;
        if let Some(goal_least) = node.min_properties {
            let known = self
                .nodes(case)
                .filter_map(|node| node.min_properties)
                .max();
            if goal_least > known.unwrap_or(0).max(required) {
                let rule = if known.is_some() {
                    Rule::MinPropertiesIncreased
                } else {
                    Rule::MinPropertiesAdded
                };
                let message = "The writer may write fewer properties than the reader asks for: lower the reader's minProperties, or publish a new version.".to_owned();
                found.push(self.note(
                    case,
                    goal,
                    rule,
                    Verdict::Incompatible,
                    step(&node.pointer, "minProperties"),
                    |node| node.min_properties.is_some(),
                    "minProperties",
                    message,
                ));
            }
        }
        if let Some(goal_most) = node.max_properties {
            let known = self
                .nodes(case)
                .filter_map(|node| node.max_properties)
                .min();
            let counted = self.other_names(case).is_empty().then(|| {
                let possible = self
                    .spelled_names(case)
                    .into_iter()
                    .filter(|name| self.property(case, name).is_some());
                possible.count() as u64
            });
            let most = [known, counted].into_iter().flatten().min();
            if most.is_none_or(|most| most > goal_most) {
                let rule = if known.is_some() {
                    Rule::MaxPropertiesDecreased
                } else {
                    Rule::MaxPropertiesAdded
                };
                let message = "The writer may write more properties than the reader accepts: raise the reader's maxProperties, or publish a new version.".to_owned();
                found.push(self.note(
                    case,
                    goal,
                    rule,
                    Verdict::Incompatible,
                    step(&node.pointer, "maxProperties"),
                    |node| node.max_properties.is_some(),
                    "maxProperties",
                    message,
                ));
            }
        }
    }

    fn prove_dependencies(&mut self, case: &Case, node: &Node, goal: Id, found: &mut Vec<Found>) {
        for (name, others) in &node.dependent_required {
            if self.property(case, name).is_none() {
                continue;
            }
            let mut with_name: Vec<&str> = vec![name];
            // What the writer promises when the name is there.
            loop {
                let before = with_name.len();
                for node in self.nodes(case) {
                    for (from, promised) in &node.dependent_required {
                        if with_name.contains(&from.as_str()) {
                            let new: Vec<&str> = promised
                                .iter()
                                .map(String::as_str)
                                .filter(|one| !with_name.contains(one))
                                .collect();
                            with_name.extend(new);
                        }
                    }
                }
                if with_name.len() == before {
                    break;
                }
            }
            let required = self.required(&case.place.known);
            if others.iter().any(|other| {
                !with_name.contains(&other.as_str()) && !required.contains(other.as_str())
            }) {
                let message = format!(
                    "The reader asks for more properties where {name:?} is present, and the writer does not promise them: drop the dependency in the reader, or publish a new version."
                );
                found.push(self.note(
                    case,
                    goal,
                    Rule::DependencyArrayAdded,
                    Verdict::Incompatible,
                    step(&node.pointer, node.dependent_keyword),
                    |node| !node.dependent_required.is_empty(),
                    "",
                    message,
                ));
            }
        }
        for (name, schema) in &node.dependent_schemas {
            if self.property(case, name).is_none() {
                continue;
            }
            let mut place = case.place.clone();
            for node in self.nodes(case) {
                for (from, schema) in &node.dependent_schemas {
                    if from == name {
                        insert(&mut place.known, *schema);
                    }
                }
            }
            found.extend(self.included(&place, *schema).iter().cloned());
        }
    }

    fn prove_unevaluated(
        &mut self,
        case: &Case,
        node: &Node,
        schema: Id,
        goal: Id,
        found: &mut Vec<Found>,
    ) {
        let mut suspect = None;
        for name in self.spelled_names(case) {
            if evaluates(self.schemas, goal, Some(&name), 0) {
                continue;
            }
            if let Some(place) = self.property(case, &name)
                && !self
                    .included_at(Step::Property(name.clone()), &place, schema)
                    .is_empty()
            {
                suspect = Some((name, place));
                break;
            }
        }
        if suspect.is_none() {
            for other in self.other_names(case) {
                let by_pattern = other
                    .pattern
                    .as_deref()
                    .is_some_and(|text| evaluates_pattern(self.schemas, goal, text, 0));
                if !by_pattern
                    && !evaluates(self.schemas, goal, None, 0)
                    && !self
                        .included_at(Step::Property(other.example.clone()), &other.place, schema)
                        .is_empty()
                {
                    suspect = Some((other.example, other.place));
                    break;
                }
            }
        }
        if let Some((name, _)) = suspect {
            let message = format!(
                "The reader's `unevaluatedProperties` may refuse {name:?}, which the writer may write: describe it in the reader, or publish a new version."
            );
            found.push(self.note(
                case,
                goal,
                Rule::UnevaluatedPropertiesRemoved,
                Verdict::Unknown,
                step(&node.pointer, "unevaluatedProperties"),
                |node| !node.properties.is_empty(),
                "",
                message,
            ));
        }
    }
}

/// Whether the schema certainly evaluates the property of every object that it accepts; None for a property with any other name.
fn evaluates(schemas: &Schemas, id: Id, name: Option<&str>, depth: u32) -> bool {
    let node = &schemas[id];
    if node.additional.is_some() || (depth > 0 && node.unevaluated_properties.is_some()) {
        return true;
    }
    if let Some(name) = name
        && (node.properties.contains_key(name)
            || node
                .patterns
                .iter()
                .any(|(pattern, _)| pattern.is_match(name) == Some(true)))
    {
        return true;
    }
    depth < 16
        && (node
            .always_applied()
            .any(|id| evaluates(schemas, id, name, depth + 1))
            || [&node.any_of, &node.one_of]
                .into_iter()
                .flatten()
                .any(|branches| {
                    !branches.is_empty()
                        && branches
                            .iter()
                            .all(|id| evaluates(schemas, *id, name, depth + 1))
                }))
}

fn evaluates_pattern(schemas: &Schemas, id: Id, text: &str, depth: u32) -> bool {
    let node = &schemas[id];
    node.patterns
        .iter()
        .any(|(pattern, _)| pattern.text() == text)
        || (depth < 16
            && node
                .always_applied()
                .any(|id| evaluates_pattern(schemas, id, text, depth + 1)))
}
