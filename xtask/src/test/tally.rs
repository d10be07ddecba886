//! Counts of all suites, and the last lines of a run.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::progress::Mark;
use crate::table::{Table, seconds};
use crate::workspace::in_ci;

/// One line of the final table.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) time: Duration,
    /// What passed, or why it did not.
    pub(super) remark: String,
    /// What did not pass or was skipped, one entry each.
    pub(super) complaints: Vec<String>,
}

impl Row {
    pub(super) fn passed(name: &str, remark: String) -> Self {
        Self {
            name: name.to_owned(),
            passed: 1,
            remark,
            ..Self::default()
        }
    }

    pub(super) fn failed(name: &str, why: String) -> Self {
        let remark = why.lines().next().unwrap_or_default().to_owned();
        Self {
            name: name.to_owned(),
            failed: 1,
            remark,
            complaints: vec![why],
            ..Self::default()
        }
    }

    pub(super) fn skipped(name: &str, why: &str) -> Self {
        Self {
            name: name.to_owned(),
            skipped: 1,
            remark: why.to_owned(),
            complaints: vec![format!("skipped: {why}")],
            ..Self::default()
        }
    }

    pub(super) fn mark(&self) -> Mark {
        match (self.failed, self.skipped) {
            (0, 0) => Mark::Passed,
            (0, _) => Mark::Skipped,
            _ => Mark::Failed,
        }
    }

    pub(super) fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }
}

/// All rows so far.
#[derive(Debug)]
pub(super) struct Tally {
    rows: Vec<Row>,
    started: Instant,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            started: Instant::now(),
        }
    }

    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Prints the table, every complaint, and `N passed, N failed, N skipped` as the last line. What was skipped fails the
    /// run where everything was promised to be there.
    pub(super) fn finish(self) -> ExitCode {
        let mut table = Table::new(["suite", "passed", "failed", "skipped", "time", "remark"]);
        for row in &self.rows {
            let counts = [row.passed, row.failed, row.skipped].map(|count| count.to_string());
            let [passed, failed, skipped] = counts;
            table.row([
                row.name.clone(),
                passed,
                failed,
                skipped,
                seconds(row.time),
                shortened(&row.remark),
            ]);
        }
        println!("\n{}", table.render());
        for row in &self.rows {
            for complaint in &row.complaints {
                println!("{}: {complaint}\n", row.name);
            }
        }
        let sum = |count: fn(&Row) -> u64| self.rows.iter().map(count).sum::<u64>();
        let (passed, failed, skipped) = (
            sum(|row| row.passed),
            sum(|row| row.failed),
            sum(|row| row.skipped),
        );
        println!("time: {}", seconds(self.started.elapsed()));
        if skipped > 0 && in_ci() {
            println!("CI is set, where nothing may be skipped: this run has failed");
        }
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        let bad = failed > 0 || (skipped > 0 && in_ci()) || passed == 0;
        if bad {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn shortened(remark: &str) -> String {
    let line = remark.lines().next().unwrap_or_default();
    if line.chars().count() <= 100 {
        line.to_owned()
    } else {
        line.chars().take(99).chain(['…']).collect()
    }
}
