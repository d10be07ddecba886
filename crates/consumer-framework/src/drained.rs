//! How a run came to its end.

/// How a run came to its end after it was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Everything under way was finished in time. Otherwise the rest was given up: nothing of it is
    /// lost, it is done again by who comes next.
    pub clean: bool,
}

impl Drained {
    pub(crate) const CLEAN: Self = Self { clean: true };
    pub(crate) const INCOMPLETE: Self = Self { clean: false };
}
