use std::borrow::Cow;
use std::fmt;

/// Why a value cannot be written by a schema, and where in the value. It never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    reason: Cow<'static, str>,
    /// From the inside out.
    path: Vec<String>,
}

impl EncodeError {
    pub(super) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            reason: reason.into(),
            path: Vec::new(),
        }))
    }

    #[cold]
    pub(super) fn at(mut self, segment: impl fmt::Display) -> Self {
        self.0.path.push(segment.to_string());
        self
    }

    /// The place in the value, as a JSON pointer; empty for the whole.
    pub fn pointer(&self) -> String {
        let segments = self.0.path.iter().rev();
        segments.flat_map(|segment| ["/", segment]).collect()
    }

    /// What is wrong there.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(formatter, "{}: ", self.pointer())?;
        }
        formatter.write_str(&self.0.reason)
    }
}

impl std::error::Error for EncodeError {}

impl serde::ser::Error for EncodeError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        // What a type says about its value may quote it.
        Self::new("the value's own type refuses to write it")
    }
}
