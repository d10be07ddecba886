//! Why a case failed.

use std::error::Error;
use std::fmt;

/// Why a case failed: one line, with the whole chain of causes.
pub struct Failure {
    text: String,
    /// What the factory would have to offer for the case to apply.
    needs: Option<&'static str>,
}

impl Failure {
    /// A failure in words.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            needs: None,
        }
    }

    /// Not a failure: the case needs what this backend or its factory does not have.
    pub(super) fn inapplicable(needs: &'static str) -> Self {
        Self {
            text: format!("the case needs {needs}"),
            needs: Some(needs),
        }
    }

    pub(super) fn needs(&self) -> Option<&'static str> {
        self.needs
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        Self::new(text)
    }
}

// No `std::error::Error` for it: `?` takes every error into a Failure, which a Failure that is one would forbid.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Failure::new(format!($($text)+)));
        }
    };
}

/// Fails the case unless both are equal.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($text:tt)+) => {{
        let (found, expected) = (&$found, &$expected);
        if found != expected {
            let what = format!($($text)+);
            let text = format!("{what}: found {found:?}, expected {expected:?}");
            return Err($crate::conformance::Failure::new(text));
        }
    }};
}

pub(super) use {ensure, ensure_eq};
