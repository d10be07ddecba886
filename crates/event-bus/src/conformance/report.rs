//! What the suite found.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::CASES;
use crate::capabilities::Capabilities;

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
    /// The name of the backend's kind.
    pub backend: &'static str,
    /// What it claims.
    pub capabilities: Capabilities,
    /// One per case, in the order they ended.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    pub(super) fn new(
        backend: &'static str,
        capabilities: Capabilities,
        outcomes: Vec<Outcome>,
    ) -> Self {
        Self {
            backend,
            capabilities,
            outcomes,
        }
    }

    /// What the backend does, as one JSON object: `backend`, `max_message_bytes`, `claims` (each with whether the backend
    /// makes it, a case that needs it passed and none failed), and the number of cases that `passed`.
    pub fn to_json(&self) -> String {
        let claims: serde_json::Map<String, serde_json::Value> = self
            .capabilities
            .claims()
            .iter()
            .map(|(claim, made)| ((*claim).to_owned(), (*made && self.is_shown(claim)).into()))
            .collect();
        let passed = |outcome: &&Outcome| outcome.verdict == Verdict::Passed;
        serde_json::json!({
            "backend": self.backend,
            "max_message_bytes": self.capabilities.max_message_bytes,
            "claims": claims,
            "passed": self.outcomes.iter().filter(passed).count(),
        })
        .to_string()
    }

    /// Whether what ran shows that a claim is kept: nothing that failed says so, and neither does nothing at all.
    fn is_shown(&self, claim: &str) -> bool {
        let needs_it = |outcome: &&Outcome| {
            let case = CASES.iter().find(|case| case.name() == outcome.case);
            case.is_some_and(|case| case.claims().contains(&claim))
        };
        let mut of_claim = self.outcomes.iter().filter(needs_it);
        let passed = |outcome: &Outcome| outcome.verdict == Verdict::Passed;
        of_claim.clone().any(passed) && !of_claim.any(Outcome::failed)
    }

    /// Writes [`to_json`](Self::to_json) to `BACKEND.json` in the directory that the environment variable
    /// `CONFORMANCE_REPORTS` names, where it does: this is how tables of what backends do are made.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn save_where_asked(&self) -> std::io::Result<()> {
        match std::env::var_os("CONFORMANCE_REPORTS") {
            None => Ok(()),
            Some(directory) => {
                let file = Path::new(&directory)
                    .join(self.backend)
                    .with_extension("json");
                std::fs::write(file, self.to_json())
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERED: &str = "keys_keep_their_order";
    const ORDERED_TOO: &str = "a_key_waits_for_its_retry";

    /// What the report says of a claim that is made, after these cases ended so.
    fn says(claim: &str, outcomes: &[(&'static str, Verdict)]) -> bool {
        let outcomes = outcomes
            .iter()
            .map(|(case, verdict)| Outcome::new(case, verdict.clone(), Duration::ZERO))
            .collect();
        let capabilities = Capabilities {
            ordered: true,
            ..Capabilities::none()
        };
        let json = Report::new("mine", capabilities, outcomes).to_json();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["claims"][claim].as_bool().unwrap()
    }

    #[test]
    fn a_claim_is_kept_when_a_case_of_it_passed_and_none_failed() {
        let failed = || Verdict::Failed("out of order".to_owned());
        let not_run = Verdict::NotClaimed("connect_breakable");
        assert!(says("ordered", &[(ORDERED, Verdict::Passed)]));
        assert!(says(
            "ordered",
            &[(ORDERED, Verdict::Passed), (ORDERED_TOO, not_run.clone())]
        ));
        assert!(!says("ordered", &[(ORDERED, failed())]));
        assert!(!says(
            "ordered",
            &[(ORDERED, Verdict::Passed), (ORDERED_TOO, failed())]
        ));
        assert!(!says("ordered", &[]), "nothing ran");
        assert!(!says("ordered", &[(ORDERED, not_run)]), "it did not run");
        let of_another = [("check_tells_that_it_works", Verdict::Passed)];
        assert!(!says("ordered", &of_another), "another case passed");
        let of_a_claim_not_made = [("purge_forgets", Verdict::Passed)];
        assert!(!says("dead_letters", &of_a_claim_not_made), "not claimed");
    }

    #[test]
    fn every_claim_has_a_case() {
        for (claim, _) in Capabilities::none().claims() {
            let tested = CASES.iter().any(|case| case.claims().contains(&claim));
            assert!(tested, "no case needs {claim}, so no backend can show it");
        }
    }
}
