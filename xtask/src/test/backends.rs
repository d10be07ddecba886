//! The table of what each backend does, made from what its conformance suite found, and kept in two pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::tally::Row;
use crate::workspace::Workspace;

const NAME: &str = "backends";
const PAGES: [&str; 2] = ["docs/backends.md", "crates/event-bus/README.md"];
const BACKENDS: [&str; 5] = ["memory", "sqlite", "kafka", "rabbitmq", "sqs"];
const BEGIN: &str =
    "<!-- made by `cargo xtask test workspace --bless` from what the conformance suite found -->\n";
const END: &str = "<!-- end -->";

/// The claims, in the table's order and words.
const CLAIMS: &[(&str, &str)] = &[
    ("durable", "survives the end of the process"),
    ("multi_process", "several processes share subscriptions"),
    ("ordered", "order per key"),
    ("replay", "what came before the subscription"),
    ("seek", "begins at a time or a position"),
    ("filters", "filters"),
    ("patterns", "topics by a pattern"),
    ("delayed", "delivers later"),
    ("durable_retry", "a retry's delay survives the process"),
    ("durable_attempts", "attempts survive the process"),
    ("dead_letters", "dead letters, redrive, purge"),
    ("fenced", "a late settlement is an error"),
    ("positions", "publishing tells the position"),
    ("exact_backlog", "the backlog is counted exactly"),
    ("backlog_age", "the backlog tells its age"),
];

#[derive(Deserialize)]
struct Report {
    max_message_bytes: u64,
    claims: BTreeMap<String, bool>,
    passed: u64,
}

/// Where the suites of the backends leave what they found; what an earlier run left there is removed.
pub(super) fn directory(logs: &Path) -> Result<PathBuf> {
    let directory = logs.join("conformance");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Compares the pages with what was found, or makes them say it.
pub(super) fn check(workspace: &Workspace, reports: &Path, bless: bool) -> Row {
    match compare(workspace, reports, bless) {
        Ok(Outcome::Same) => Row::passed(NAME, "the tables say what the suites found".to_owned()),
        Ok(Outcome::Written) => Row::passed(NAME, "the tables were written".to_owned()),
        Ok(Outcome::Missing(backends)) => {
            Row::skipped(NAME, &format!("no report of {}", backends.join(", ")))
        }
        Err(error) => Row::failed(NAME, format!("{error:#}")),
    }
}

enum Outcome {
    Same,
    Written,
    Missing(Vec<&'static str>),
}

fn compare(workspace: &Workspace, reports: &Path, bless: bool) -> Result<Outcome> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for backend in BACKENDS {
        match fs::read(reports.join(backend).with_extension("json")) {
            Ok(json) => found.push(serde_json::from_slice::<Report>(&json)?),
            Err(_) => missing.push(backend),
        }
    }
    if !missing.is_empty() {
        return Ok(Outcome::Missing(missing));
    }
    let table = table(&found)?;
    let mut written = false;
    for page in PAGES {
        let path = workspace.root().join(page);
        let text = fs::read_to_string(&path).with_context(|| page.to_owned())?;
        let new = with_table(&text, &table).with_context(|| page.to_owned())?;
        if new == text {
            continue;
        }
        if !bless {
            bail!(
                "{page} does not say what the suites found; `cargo xtask test workspace --bless` writes it:\n{table}"
            );
        }
        fs::write(&path, new)?;
        written = true;
    }
    Ok(if written {
        Outcome::Written
    } else {
        Outcome::Same
    })
}

/// The page with another table between its markers.
fn with_table(page: &str, table: &str) -> Result<String> {
    let (before, rest) = page
        .split_once(BEGIN)
        .context("it has no place for the table")?;
    let (_, after) = rest
        .split_once(END)
        .context("the place for the table has no end")?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

fn table(reports: &[Report]) -> Result<String> {
    let mut table = String::new();
    writeln!(table, "| | {} |", BACKENDS.join(" | "))?;
    writeln!(table, "|---|{}", "---|".repeat(BACKENDS.len()))?;
    for (claim, words) in CLAIMS {
        let mut cells = Vec::new();
        for report in reports {
            let kept = report
                .claims
                .get(*claim)
                .with_context(|| format!("no report on the claim {claim}"))?;
            cells.push(if *kept { "yes" } else { "–" });
        }
        writeln!(table, "| {words} | {} |", cells.join(" | "))?;
    }
    let unnamed = reports
        .iter()
        .flat_map(|report| report.claims.keys())
        .find(|claim| !CLAIMS.iter().any(|(known, _)| known == claim));
    if let Some(claim) = unnamed {
        bail!("the claim {claim} has no words in the table");
    }
    let sizes = reports.iter().map(|report| size(report.max_message_bytes));
    writeln!(
        table,
        "| a message weighs at most | {} |",
        sizes.collect::<Vec<_>>().join(" | ")
    )?;
    let passed = reports.iter().map(|report| report.passed.to_string());
    writeln!(
        table,
        "| cases of the suite passed | {} |",
        passed.collect::<Vec<_>>().join(" | ")
    )?;
    Ok(table)
}

fn size(bytes: u64) -> String {
    match bytes {
        0 => "–".to_owned(),
        bytes if bytes.is_multiple_of(1024 * 1024) => format!("{} MiB", bytes / 1024 / 1024),
        bytes if bytes.is_multiple_of(1024) => format!("{} KiB", bytes / 1024),
        bytes => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_the_place_between_the_markers() {
        let page = format!("# Title\n\n{BEGIN}old\n{END}\n\nmore\n");
        let new = with_table(&page, "| new |\n").unwrap();
        assert_eq!(
            new,
            format!("# Title\n\n{BEGIN}\n| new |\n\n{END}\n\nmore\n")
        );
        assert_eq!(with_table(&new, "| new |\n").unwrap(), new);
        assert!(with_table("# Title", "").is_err());
    }

    #[test]
    fn sizes_are_told_in_their_unit() {
        assert_eq!(size(16 * 1024 * 1024), "16 MiB");
        assert_eq!(size(256 * 1024), "256 KiB");
        assert_eq!(size(1_000_000), "1000000 B");
        assert_eq!(size(0), "–");
    }
}
