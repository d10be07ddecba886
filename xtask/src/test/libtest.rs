//! What `cargo test -- --show-output` prints, read line by line.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The tests of one binary, or the documentation tests of one crate.
#[derive(Debug)]
pub(super) struct Section {
    /// `src/lib.rs`, `tests/memory.rs`, or `documentation`.
    pub(super) title: String,
    /// The binary's file name; for documentation tests, the crate's name.
    pub(super) key: String,
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) time: Duration,
    /// What failed and what was skipped, one entry each.
    pub(super) complaints: Vec<String>,
    started: Instant,
    /// True once the result line was seen: a binary that crashes never prints it.
    ended: bool,
    current: Option<String>,
    skips: BTreeSet<String>,
    /// Tests that had run for a minute.
    slow: Vec<String>,
    failure: Option<Vec<String>>,
}

/// Sections as they come.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    sections: Vec<Section>,
}

impl Transcript {
    /// Takes one line; returns the section that it ended, if it ended one.
    pub(super) fn line(&mut self, line: &str) -> Option<&Section> {
        if let Some(section) = Section::begin(line) {
            self.sections.push(section);
            return None;
        }
        let section = self.sections.last_mut()?;
        if section.line(line) {
            self.sections.last()
        } else {
            None
        }
    }

    /// The section whose tests run now.
    pub(super) fn current(&self) -> Option<&Section> {
        self.sections.last().filter(|section| !section.ended)
    }

    /// All sections; one without a result line counts as one more failure.
    pub(super) fn finish(mut self) -> Vec<Section> {
        for section in self.sections.iter_mut().filter(|section| !section.ended) {
            section.failed += 1;
            let slow = match &section.slow[..] {
                [] => String::new(),
                slow => format!("; long under way: {}", slow.join(", ")),
            };
            section.complaints.push(format!(
                "{} ended without a result: it crashed, or hung and was ended{slow}",
                section.title
            ));
        }
        self.sections
    }
}

impl Section {
    /// `Running unittests src/lib.rs (target/debug/deps/name-0123)`, `Doc-tests name`.
    fn begin(line: &str) -> Option<Self> {
        let text = line.trim_start();
        if let Some(name) = text
            .strip_prefix("Doc-tests ")
            .filter(|_| line.starts_with(' '))
        {
            return Some(Self::new("documentation", name));
        }
        let (title, path) = text
            .strip_prefix("Running ")?
            .strip_suffix(')')?
            .split_once(" (")?;
        let title = title.strip_prefix("unittests ").unwrap_or(title);
        Some(Self::new(title, path.rsplit('/').next().unwrap_or(path)))
    }

    fn new(title: &str, key: &str) -> Self {
        Self {
            title: title.to_owned(),
            key: key.to_owned(),
            passed: 0,
            failed: 0,
            skipped: 0,
            time: Duration::ZERO,
            complaints: Vec::new(),
            started: Instant::now(),
            ended: false,
            current: None,
            skips: BTreeSet::new(),
            slow: Vec::new(),
            failure: None,
        }
    }

    /// True if the line was the result.
    fn line(&mut self, line: &str) -> bool {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.result(counts);
            return true;
        }
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.split_once(" stdout ----").map(|(name, _)| name))
        {
            self.current = Some(name.to_owned());
        } else if let Some(reason) = line.trim_start().strip_prefix("skipped: ") {
            // Once per test, however many cases of it were skipped.
            let test = self.current.clone().unwrap_or_default();
            if self.failure.is_none() && self.skips.insert(test.clone()) {
                self.complaints.push(format!("{test}: skipped: {reason}"));
            }
        }
        match line {
            // With --show-output the tests that passed come first, then the others, then the list of names.
            "failures:" if self.failure.is_none() => self.failure = Some(Vec::new()),
            "failures:" => self.failure_ends(),
            _ => {
                if let Some(lines) = &mut self.failure {
                    lines.push(line.to_owned());
                }
            }
        }
        if let Some((name, _)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" has been running for over"))
        {
            self.slow.push(name.to_owned());
        }
        if let Some((name, outcome)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
            && outcome.starts_with("ignored")
        {
            self.complaints.push(format!("{name}: skipped: {outcome}"));
        }
        false
    }

    fn failure_ends(&mut self) {
        let text = self
            .failure
            .replace(Vec::new())
            .unwrap_or_default()
            .join("\n");
        if !text.trim().is_empty() {
            self.complaints.push(text.trim().to_owned());
        }
    }

    /// `ok. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`
    fn result(&mut self, counts: &str) {
        let count = |what: &str| -> u64 {
            let part = counts
                .split(['.', ';'])
                .find_map(|part| part.trim().strip_suffix(what));
            part.and_then(|number| number.trim().parse().ok())
                .unwrap_or(0)
        };
        let skips = u64::try_from(self.skips.len()).unwrap_or(0);
        // Two results in one section happen: edition 2024's documentation tests run in groups.
        self.passed += count("passed");
        self.failed += count("failed");
        self.skipped += count("ignored");
        if self.passed >= skips {
            self.passed -= skips;
            self.skipped += skips;
        }
        self.skips.clear();
        self.failure = None;
        self.current = None;
        self.time = self.started.elapsed();
        self.ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Section> {
        let mut transcript = Transcript::default();
        for line in text.lines() {
            transcript.line(line);
        }
        transcript.finish()
    }

    #[test]
    fn counts_skips_and_failures_of_several_binaries() {
        let sections = read(
            "     Running unittests src/lib.rs (target/debug/deps/commerce_event_bus-a1b2)

running 3 tests
test a ... ok
test b ... ok
test c ... ignored, too slow

successes:

---- b stdout ----
skipped: KAFKA_URL is not set
skipped: AMQP_URL is not set


successes:
    a
    b

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/memory.rs (/t/debug/deps/memory-99)

running 2 tests
test x ... FAILED
test y ... ok

successes:

successes:
    y

failures:

---- x stdout ----

thread 'x' panicked at tests/memory.rs:1:1:
assertion failed


failures:
    x

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s

error: test failed, to rerun pass `-p commerce-event-bus --test memory`
   Doc-tests commerce_event_bus

running 1 test
test crates/event-bus/src/lib.rs - (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.20s
",
        );
        let counts: Vec<_> = sections
            .iter()
            .map(|section| {
                (
                    section.key.as_str(),
                    section.passed,
                    section.failed,
                    section.skipped,
                )
            })
            .collect();
        assert_eq!(
            counts,
            [
                ("commerce_event_bus-a1b2", 1, 0, 2),
                ("memory-99", 1, 1, 0),
                ("commerce_event_bus", 1, 0, 0)
            ]
        );
        assert_eq!(
            sections[0].complaints,
            [
                "c: skipped: ignored, too slow",
                "b: skipped: KAFKA_URL is not set"
            ]
        );
        assert!(
            sections[1].complaints[0].contains("assertion failed"),
            "{:?}",
            sections[1].complaints
        );
        assert!(
            !sections[1].complaints[0].contains("error: test failed"),
            "{:?}",
            sections[1].complaints
        );
        assert_eq!(sections[2].title, "documentation");
    }

    #[test]
    fn a_binary_that_crashes_is_a_failure() {
        let sections = read(
            "     Running tests/a.rs (target/debug/deps/a-1)\n\nrunning 2 tests\ntest x ... ok\ntest y has been running for over 60 seconds\n",
        );
        assert_eq!((sections[0].passed, sections[0].failed), (0, 1));
        let complaint = &sections[0].complaints[0];
        assert!(complaint.ends_with("long under way: y"), "{complaint}");
    }

    #[test]
    fn groups_of_documentation_tests_add_up() {
        let one = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.20s\n";
        let sections = read(&format!(
            "   Doc-tests x\n\nrunning 2 tests\n{one}\nrunning 2 tests\n{one}"
        ));
        assert_eq!((sections.len(), sections[0].passed), (1, 4));
    }
}
