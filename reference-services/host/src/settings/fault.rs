//! The error of one pass over the settings, in words for whoever has to mend it.

use std::fmt::{self, Display};

use serde::de::{Error, Expected, Unexpected};

use super::mistake::{Origin, meant};

/// What serde reports, taken apart.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) path: Option<String>,
    /// The field of the place, when the place is a table.
    pub(crate) field: Option<&'static str>,
    /// Boxed, so that a `Result` with a fault stays small.
    pub(crate) origin: Option<Box<Origin>>,
    pub(crate) missing: bool,
    pub(crate) wrong: String,
    pub(crate) right: Option<String>,
}

impl Fault {
    fn new(wrong: impl Into<String>, right: Option<String>) -> Self {
        Self {
            path: None,
            field: None,
            origin: None,
            missing: false,
            wrong: wrong.into(),
            right,
        }
    }
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.wrong)
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        // `wrong; right would be …` is how our own value types say both.
        let message = message.to_string();
        match message.split_once("; right would be ") {
            Some((wrong, right)) => Self::new(wrong, Some(right.to_owned())),
            None => Self::new(message, None),
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(
            format!("{} does not fit", shown(unexpected)),
            Some(plain(&expected.to_string())),
        )
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(
            format!("{} does not fit", shown(unexpected)),
            Some(plain(&expected.to_string())),
        )
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let right = match meant(variant, expected.iter().copied()) {
            Some(meant) => format!("`{meant}`: did you mean it?"),
            None => format!("one of {}", expected.join(", ")),
        };
        Self::new(format!("`{variant}` does not fit"), Some(right))
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            field: Some(field),
            missing: true,
            ..Self::new("missing", None)
        }
    }
}

/// A value as it may be shown: whatever could hold a password is not.
fn shown(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Str(text) if text.contains('@') || text.contains("://") || text.len() > 80 => {
            "this text".to_owned()
        }
        Unexpected::Str(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}

/// Rust's names of types, in words.
fn plain(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" | "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" => "a text in quotes".to_owned(),
        other if other.starts_with("struct ") || other == "a map" => {
            "a table of settings".to_owned()
        }
        other => other.to_owned(),
    }
}
