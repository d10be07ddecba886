//! Settings of orders: section `[orders]`.

use std::num::NonZeroU16;

use serde::Deserialize;

/// Settings of orders.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How many lines an order may have.
    pub largest_order: NonZeroU16,
    /// How many orders a page of the list may have.
    pub largest_page: NonZeroU16,
}

impl Default for Config {
    fn default() -> Self {
        let several = |number| NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN);
        Self {
            largest_order: several(500),
            largest_page: several(500),
        }
    }
}
