use std::borrow::Cow;
use std::fmt;

use crate::avro::fault::Fault;

/// Why a value cannot be written by a schema, and where in the value. It never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError(Fault);

impl EncodeError {
    #[cold]
    pub(super) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Fault::new(reason))
    }

    #[cold]
    pub(super) fn at(self, segment: impl fmt::Display) -> Self {
        Self(self.0.at(segment))
    }

    /// The place in the value, as a JSON pointer; empty for the whole.
    pub fn pointer(&self) -> String {
        self.0.pointer()
    }

    /// What is wrong there.
    pub fn reason(&self) -> &str {
        self.0.reason()
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for EncodeError {}

impl serde::ser::Error for EncodeError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        // What a type says about its value may quote it.
        Self::new("the value's own type refuses to write it")
    }
}
