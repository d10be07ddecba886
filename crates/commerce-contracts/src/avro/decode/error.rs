use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::avro::fault::Fault;

/// Why bytes are not the value that was asked for, and where. It never quotes the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(Fault);

impl DecodeError {
    #[cold]
    pub(crate) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Fault::new(reason))
    }

    #[cold]
    pub(super) fn at(self, segment: impl fmt::Display) -> Self {
        Self(self.0.at(segment))
    }

    /// The place in the value, as a JSON pointer; empty for the whole. An entry of a map is told by its number.
    pub fn pointer(&self) -> String {
        self.0.pointer()
    }

    /// What is wrong there.
    pub fn reason(&self) -> &str {
        self.0.reason()
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for DecodeError {}

/// Of what serde knows, only the parts that come from the type are told.
impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::new("the value is refused by its type")
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("the value is not {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("the value is not {expected}"))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(format!("there are {length} items, not {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("the value is none of {}", expected.join(", ")))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!(
            "a field that the type does not have; it has {}",
            expected.join(", ")
        ))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("the reader's schema has no field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("the field `{field}` comes twice"))
    }
}
