//! Which dead letters to give another life, and how fast.

use std::num::NonZeroU32;

use crate::filter::Filter;

/// Which dead letters are redriven, and how fast. The oldest go first, in their original order per key.
///
/// ```
/// use commerce_event_bus::{Filter, Redrive};
/// let some = Redrive::all()
///     .filter(Filter::new().equals("tenant", "acme"))
///     .limit(1_000)
///     .per_second(50.try_into().unwrap());
/// # let _ = some;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redrive {
    /// Which; bytes that are no event pass the empty filter only.
    pub filter: Filter,
    /// How many at most.
    pub limit: Option<u64>,
    /// How many a second at most.
    pub per_second: Option<NonZeroU32>,
}

impl Redrive {
    /// All that are there now, at once.
    pub const fn all() -> Self {
        Self {
            filter: Filter::new(),
            limit: None,
            per_second: None,
        }
    }

    /// Only those that the filter wants.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// At most so many, the oldest.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// At most so many a second.
    pub fn per_second(mut self, rate: NonZeroU32) -> Self {
        self.per_second = Some(rate);
        self
    }
}
