//! Whether anything can be at a place at all: what cannot be written breaks no reader, and branches that share nothing exclude each other.

use super::checker::{Checker, Question};
use super::place::{Case, Place, insert};
use super::schema::Id;
use super::types::Types;

impl Checker<'_> {
    pub(super) fn types_empty(&mut self, case: &Case) -> bool {
        case.types.iter().all(|one| {
            let of_type = self.restricted(case, one);
            self.case_empty(&of_type)
        })
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
}
