//! Generated schemas, edits and data against readers that know nothing of the checker: nothing that it passes may break one of them.
//!
//! Shared by the quick test `compatibility_soundness` and the long run `examples/soundness.rs`.

use commerce_contracts::compatibility::Verdict;

pub(crate) mod avro;
pub(crate) mod json;

/// What came out of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) compatible: u64,
    pub(crate) incompatible: u64,
    pub(crate) unknown: u64,
    /// Pairs whose schemas the reader itself does not take.
    pub(crate) skipped: u64,
    /// Instances or data tried on pairs that the checker passed.
    pub(crate) instances: u64,
    /// Pairs that it passed and that were tried with one at least.
    pub(crate) passed_with_instances: u64,
    /// Counterexamples that it showed; each was tried.
    pub(crate) counterexamples: u64,
    pub(crate) failures: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Compatible => self.compatible += 1,
            Verdict::Incompatible => self.incompatible += 1,
            Verdict::Unknown => self.unknown += 1,
        }
    }

    pub(crate) fn fail(&mut self, message: String) {
        self.failures.push(message);
    }

    pub(crate) fn pairs(&self) -> u64 {
        self.compatible + self.incompatible + self.unknown
    }
}
