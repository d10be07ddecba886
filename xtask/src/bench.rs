//! `cargo xtask bench`: the benchmarks of every package that has some.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::services::Site;
use crate::table::{Table, seconds};
use crate::workspace::Workspace;

/// `cargo xtask bench …`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Benchmarks, or packages, whose name contains this.
    name: Option<String>,
    /// Only list the benchmarks.
    #[arg(long)]
    list: bool,
    /// Passed on to the benchmarks.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Runs them one after another. Servers that `cargo xtask services up` started are told to them; none is started here, because
/// a broker just started is no measure.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let benchmarks = benchmarks(&workspace.metadata()?, options.name.as_deref());
    if benchmarks.is_empty() {
        match &options.name {
            Some(name) => bail!("no benchmark and no package with benchmarks is called {name:?}"),
            None => bail!("no package has a benchmark"),
        }
    }
    if options.list {
        for (package, benchmark) in benchmarks {
            println!("{package} {benchmark}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let urls = Site::open(workspace)?.state().urls();
    let mut table = Table::new(["package", "benchmark", "outcome", "time"]);
    let mut failed = false;
    for (package, benchmark) in benchmarks {
        let started = Instant::now();
        let mut command = workspace.cargo();
        command
            .args([
                "bench",
                "--all-features",
                "--package",
                &package,
                "--bench",
                &benchmark,
            ])
            .envs(&urls);
        command.arg("--").args(&options.arguments);
        let status = command.status().context("cargo bench could not be run")?;
        failed |= !status.success();
        let outcome = if status.success() { "done" } else { "failed" };
        table.row([
            package,
            benchmark,
            outcome.to_owned(),
            seconds(started.elapsed()),
        ]);
    }
    println!("\n{}", table.render());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// (package, benchmark)
fn benchmarks(metadata: &Value, name: Option<&str>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for target in package["targets"].as_array().into_iter().flatten() {
            let kinds = target["kind"].as_array().into_iter().flatten();
            let (Some(package), Some(target)) = (package["name"].as_str(), target["name"].as_str())
            else {
                continue;
            };
            let chosen = name.is_none_or(|name| package.contains(name) || target.contains(name));
            if chosen && kinds.filter_map(Value::as_str).any(|kind| kind == "bench") {
                found.push((package.to_owned(), target.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn benchmarks_are_chosen_by_their_own_or_their_packages_name() {
        let metadata = json!({"packages": [
            {"name": "commerce-event-bus", "targets": [{"name": "publish", "kind": ["bench"]}, {"name": "x", "kind": ["lib"]}]},
            {"name": "commerce-contracts", "targets": [{"name": "decode", "kind": ["bench"]}]}]});
        let pair = |package: &str, name: &str| (package.to_owned(), name.to_owned());
        let (bus, contracts) = (
            pair("commerce-event-bus", "publish"),
            pair("commerce-contracts", "decode"),
        );
        assert_eq!(
            benchmarks(&metadata, None),
            [bus.clone(), contracts.clone()]
        );
        assert_eq!(benchmarks(&metadata, Some("decode")), [contracts]);
        assert_eq!(benchmarks(&metadata, Some("event-bus")), [bus]);
        assert_eq!(benchmarks(&metadata, Some("x")), []);
    }
}
