//! What is wrong with a value, and where in it.

use std::borrow::Cow;
use std::fmt;

/// Boxed, for it stands in results that are nearly always fine. It never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    reason: Cow<'static, str>,
    /// From the inside out.
    path: Vec<String>,
}

impl Fault {
    #[cold]
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

    /// As a JSON pointer; empty for the whole.
    pub(super) fn pointer(&self) -> String {
        let segments = self.0.path.iter().rev();
        segments.flat_map(|segment| ["/", segment]).collect()
    }

    pub(super) fn reason(&self) -> &str {
        &self.0.reason
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(formatter, "{}: ", self.pointer())?;
        }
        formatter.write_str(&self.0.reason)
    }
}
