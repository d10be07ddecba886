//! What is known about the items of an array.

use super::checker::Checker;
use super::place::{Case, Place, insert};
use super::schema::Id;

impl Checker<'_> {
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
}
