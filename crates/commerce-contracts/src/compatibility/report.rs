//! What a check found.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Rule;

/// Which versions must understand which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Mode {
    /// The new schema reads what the latest old one wrote: consumers are upgraded first.
    Backward,
    /// The new schema reads what every old one wrote.
    BackwardTransitive,
    /// The latest old schema reads what the new one writes: producers are upgraded first.
    Forward,
    /// Every old schema reads what the new one writes.
    ForwardTransitive,
    /// Both, with the latest old schema.
    Full,
    /// Both, with every old schema.
    FullTransitive,
}

impl Mode {
    /// Whether every earlier version counts, or the latest only.
    pub fn is_transitive(self) -> bool {
        matches!(
            self,
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive
        )
    }

    /// The directions that are checked.
    pub fn directions(self) -> &'static [Direction] {
        match self {
            Self::Backward | Self::BackwardTransitive => &[Direction::Backward],
            Self::Forward | Self::ForwardTransitive => &[Direction::Forward],
            Self::Full | Self::FullTransitive => &[Direction::Backward, Direction::Forward],
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        })
    }
}

/// Who reads whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// The new schema reads, the old one wrote.
    Backward,
    /// The old schema reads, the new one wrote.
    Forward,
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Backward => "the new schema reads the old",
            Self::Forward => "the old schema reads the new",
        })
    }
}

/// The answer. Only [`Compatible`](Verdict::Compatible) is a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Every reader understands everything that its writer can write.
    Compatible,
    /// It could not be proven, and no break was shown either. Treat it as incompatible unless a person knows better.
    Unknown,
    /// A reader refuses something that its writer can write, or cannot say what it means.
    Incompatible,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Compatible => "compatible",
            Self::Unknown => "unknown",
            Self::Incompatible => "incompatible",
        })
    }
}

/// One difference that stands in the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of difference.
    pub rule: Rule,
    /// [`Verdict::Incompatible`], or [`Verdict::Unknown`].
    pub verdict: Verdict,
    /// Who reads whom.
    pub direction: Direction,
    /// The name of the old version, when a [`History`](super::History) was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where in the old schema, as a JSON pointer.
    pub old: String,
    /// Where in the new schema, as a JSON pointer.
    pub new: String,
    /// Who breaks, and what to do.
    pub message: String,
    /// For JSON: an instance that the writer's schema accepts and the reader's refuses; both were tried. It is made up, never real data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterexample: Option<Value>,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}): ", self.rule, self.verdict)?;
        if let Some(version) = &self.version {
            write!(formatter, "version {version}: ")?;
        }
        let place = |pointer: &str| {
            if pointer.is_empty() {
                "the root".to_owned()
            } else {
                pointer.to_owned()
            }
        };
        write!(
            formatter,
            "{} [old: {}, new: {}]",
            self.message,
            place(&self.old),
            place(&self.new)
        )?;
        if let Some(instance) = &self.counterexample {
            write!(formatter, " Counterexample: {instance}")?;
        }
        Ok(())
    }
}

/// Everything that a check found: nothing, when the schemas are compatible.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(findings: Vec<Finding>) -> Self {
        Self { findings }
    }

    /// The overall answer: the worst verdict of the findings.
    pub fn verdict(&self) -> Verdict {
        self.findings
            .iter()
            .map(|finding| finding.verdict)
            .max()
            .unwrap_or(Verdict::Compatible)
    }

    /// Whether the change may be released: the verdict is [`Verdict::Compatible`].
    pub fn is_compatible(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether the change may be released by someone who vouches for what could not be decided.
    pub fn is_compatible_allowing_unknown(&self) -> bool {
        self.verdict() != Verdict::Incompatible
    }

    /// All findings: the newest version first, backward before forward.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// All findings, owned.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.verdict())?;
        for finding in &self.findings {
            write!(formatter, "\n  {finding}")?;
        }
        Ok(())
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 2)?;
        report.serialize_field("verdict", &self.verdict())?;
        report.serialize_field("findings", &self.findings)?;
        report.end()
    }
}

/// A finding before it is known which side is old and which is new.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) rule: Rule,
    pub(super) verdict: Verdict,
    /// JSON pointer into the writer's schema.
    pub(super) writer: String,
    /// JSON pointer into the reader's schema.
    pub(super) reader: String,
    pub(super) message: String,
    pub(super) counterexample: Option<Value>,
}

impl Difference {
    pub(super) fn into_finding(self, direction: Direction) -> Finding {
        let (old, new) = match direction {
            Direction::Backward => (self.writer, self.reader),
            Direction::Forward => (self.reader, self.writer),
        };
        Finding {
            rule: self.rule,
            verdict: self.verdict,
            direction,
            version: None,
            old,
            new,
            message: self.message,
            counterexample: self.counterexample,
        }
    }
}
