//! Events that are on their way out.

/// An event that should not be subscribed to any more: `#[event(deprecated(since = "2026-01-31", replacement = "orders.order.placed.v2"))]`.
///
/// It is published and read as before. Its schemas say `deprecated: true`, and its documentation since when and what for. The type in Rust
/// is not marked with `#[deprecated]`: its own crate still publishes it, and would be warned at each of its own uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deprecation {
    since: &'static str,
    replacement: Option<&'static str>,
}

impl Deprecation {
    /// What the derive macro has read and checked.
    #[doc(hidden)]
    pub const fn new(since: &'static str, replacement: Option<&'static str>) -> Self {
        Self { since, replacement }
    }

    /// The day since which it is deprecated, `2026-01-31`. Days in this form compare as texts.
    pub const fn since(&self) -> &'static str {
        self.since
    }

    /// The CloudEvents type of the event that is published in its place: `orders.order.placed.v2`.
    pub const fn replacement(&self) -> Option<&'static str> {
        self.replacement
    }
}
