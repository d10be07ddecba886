//! What is wrong with the settings, told all at once.

use std::fmt;
use std::sync::Arc;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A line of the file.
    File {
        /// The file, as it was given.
        path: Arc<str>,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// Nowhere: the setting is missing, or the mistake lies between several.
    Nowhere,
}

/// One mistake: which setting, what is wrong, what would be right, where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// Dotted name, such as `payments.provider_url`.
    pub setting: String,
    /// What is wrong.
    pub wrong: String,
    /// What would be right, where that can be said.
    pub right: Option<String>,
    /// Where the value was set.
    pub origin: Origin,
}

impl Mistake {
    /// A mistake that no single source has made, such as two settings that exclude each other.
    pub fn new(
        setting: impl Into<String>,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) -> Self {
        Self {
            setting: setting.into(),
            wrong: wrong.into(),
            right: Some(right.into()),
            origin: Origin::Nowhere,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(formatter, "{path}, line {line}"),
            Self::Environment(variable) => write!(formatter, "environment variable {variable}"),
            Self::Nowhere => formatter.write_str("not set"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.setting, self.wrong)?;
        if let Some(right) = &self.right {
            write!(formatter, "; right would be {right}")?;
        }
        match self.origin {
            Origin::Nowhere => Ok(()),
            _ => write!(formatter, " ({})", self.origin),
        }
    }
}

/// Every mistake in the settings; nothing was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub(crate) Vec<Mistake>);

impl Mistakes {
    /// An error unless there are none.
    ///
    /// # Errors
    /// All of them.
    pub fn refuse(mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(Self(mistakes))
        }
    }

    /// The mistakes, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(
            formatter,
            "{count} mistake{} in the settings:",
            if count == 1 { "" } else { "s" }
        )?;
        for mistake in &self.0 {
            write!(formatter, "\n  - {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// The names among `known` that are nearest, the nearest first.
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    count: usize,
) -> Vec<&'a str> {
    let mut known: Vec<_> = known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .collect();
    known.sort_unstable();
    let known = known.into_iter().map(|(_, candidate)| candidate);
    known.take(count).collect()
}

/// The name among `known` that was probably meant.
pub(crate) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
