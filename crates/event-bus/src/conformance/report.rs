//! What the suite found.

use std::fmt;
use std::time::Duration;

/// How one case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The backend does what the case says.
    Passed,
    /// The backend does not claim the capability named here, so the case does not apply.
    NotClaimed(&'static str),
    /// It does not do it; here is what it did.
    Failed(String),
}

/// One case and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The case.
    pub case: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    pub(super) fn new(case: &'static str, verdict: Verdict, took: Duration) -> Self {
        Self {
            case,
            verdict,
            took,
        }
    }

    /// Whether the backend failed the case.
    pub fn failed(&self) -> bool {
        matches!(self.verdict, Verdict::Failed(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            case,
            verdict,
            took,
        } = self;
        match verdict {
            Verdict::Passed => write!(f, "passed       {case} ({took:.1?})"),
            Verdict::NotClaimed(claim) => write!(f, "not claimed  {case} (needs {claim})"),
            Verdict::Failed(text) => write!(f, "FAILED       {case} ({took:.1?}): {text}"),
        }
    }
}

/// All cases and how they ended. `Display` is one line per case and a last one that counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// One per case, in the order they ran.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    pub(super) fn new(outcomes: Vec<Outcome>) -> Self {
        Self { outcomes }
    }

    /// Whether no case failed. Those not claimed are not failures: look at them too.
    pub fn passed(&self) -> bool {
        !self.outcomes.iter().any(Outcome::failed)
    }

    /// The names of the cases that did not apply.
    pub fn not_claimed(&self) -> Vec<&'static str> {
        let not_claimed = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::NotClaimed(_));
        self.outcomes
            .iter()
            .filter(not_claimed)
            .map(|outcome| outcome.case)
            .collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.outcomes {
            writeln!(f, "{outcome}")?;
        }
        let failed = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.failed())
            .count();
        let not_claimed = self.not_claimed().len();
        let passed = self.outcomes.len() - failed - not_claimed;
        write!(
            f,
            "{passed} passed, {failed} failed, {not_claimed} not claimed"
        )
    }
}
