//! The oldest of many that come in any order, within bounds: whoever looks at the rest holds none of it.

use std::collections::BTreeMap;

/// The oldest so far.
pub(super) struct Oldest<T> {
    most: usize,
    most_bytes: usize,
    bytes: usize,
    offered: usize,
    /// By age, and by when they came; with their sizes.
    kept: BTreeMap<Place, (T, usize)>,
    /// The oldest that was let go. Nothing younger is kept, though it were small: those kept have no gaps.
    cut: Option<Place>,
}

type Place = ((i64, i64), usize);

impl<T> Oldest<T> {
    /// None yet; so many at most, and so many bytes, unless one alone has more.
    pub(super) const fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            most,
            most_bytes,
            bytes: 0,
            offered: 0,
            kept: BTreeMap::new(),
            cut: None,
        }
    }

    /// One more; returns those that are not among the oldest now.
    pub(super) fn offer(&mut self, age: (i64, i64), size: usize, item: T) -> Vec<T> {
        let place = (age, self.offered);
        self.offered += 1;
        if self.most == 0 || self.cut.is_some_and(|cut| place > cut) {
            return vec![item];
        }
        self.bytes += size;
        self.kept.insert(place, (item, size));
        let mut let_go = Vec::new();
        while self.is_over()
            && let Some((place, (item, size))) = self.kept.pop_last()
        {
            self.bytes -= size;
            self.cut = Some(place);
            let_go.push(item);
        }
        let_go
    }

    fn is_over(&self) -> bool {
        self.kept.len() > self.most || (self.bytes > self.most_bytes && self.kept.len() > 1)
    }

    /// What was kept, the oldest first.
    pub(super) fn kept(self) -> impl Iterator<Item = T> {
        self.kept.into_values().map(|(item, _)| item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_oldest_are_kept_without_a_gap_and_within_the_bounds(
            items in proptest::collection::vec((0_i64..20, 0_usize..50), 0..60),
            most in 0_usize..20,
            most_bytes in 0_usize..300,
        ) {
            let mut oldest = Oldest::new(most, most_bytes);
            let mut let_go = 0;
            for (at, (age, size)) in items.iter().enumerate() {
                let_go += oldest.offer((*age, 0), *size, at).len();
                let bytes: usize = oldest.kept.values().map(|(_, size)| size).sum();
                prop_assert!(oldest.kept.len() <= most);
                prop_assert!(bytes <= most_bytes || oldest.kept.len() == 1);
            }
            let kept: Vec<usize> = oldest.kept().collect();
            prop_assert_eq!(kept.len() + let_go, items.len());
            let mut sorted: Vec<usize> = (0..items.len()).collect();
            sorted.sort_by_key(|at| items[*at].0);
            prop_assert_eq!(&kept[..], &sorted[..kept.len()]);
            let all: usize = items.iter().map(|(_, size)| size).sum();
            if all <= most_bytes {
                prop_assert_eq!(kept.len(), most.min(items.len()));
            }
        }
    }
}
