//! `cargo xtask bench`: the benchmarks of every package that has some.

use std::fs;
use std::path::{Path, PathBuf};
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
    let metadata = workspace.metadata()?;
    let target_directory = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?;
    let root = workspace.root();
    let mut benchmarks = benchmarks(&metadata, &root.join("Cargo.toml"), options.name.as_deref());
    let mut peers = Vec::new();
    for manifest in beside_peers(root)? {
        let metadata = workspace.metadata_of(&manifest)?;
        let chosen = self::benchmarks(&metadata, &manifest, options.name.as_deref());
        if !chosen.is_empty() {
            peers.push(manifest);
        }
        benchmarks.extend(chosen);
    }
    if benchmarks.is_empty() {
        match &options.name {
            Some(name) => bail!("no benchmark and no package with benchmarks is called {name:?}"),
            None => bail!("no package has a benchmark"),
        }
    }
    if options.list {
        for benchmark in benchmarks {
            println!("{} {}", benchmark.package, benchmark.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let urls = Site::open(workspace)?.state().urls();
    let mut table = Table::new(["package", "benchmark", "outcome", "time"]);
    let mut failed = false;
    // What decisions say about a peer holds for the peer that is measured.
    for manifest in peers {
        let mut command = workspace.cargo();
        command.args(["test", "--target-dir", target_directory, "--manifest-path"]);
        let status = command.arg(&manifest).status();
        failed |= !status.context("cargo test could not be run")?.success();
    }
    for benchmark in benchmarks {
        let started = Instant::now();
        let mut command = workspace.cargo();
        command
            .args([
                "bench",
                "--all-features",
                "--package",
                &benchmark.package,
                "--bench",
                &benchmark.name,
                "--target-dir",
                target_directory,
                "--manifest-path",
            ])
            .arg(&benchmark.manifest)
            .envs(&urls);
        command.arg("--").args(&options.arguments);
        let status = command.status().context("cargo bench could not be run")?;
        failed |= !status.success();
        let outcome = if status.success() { "done" } else { "failed" };
        table.row([
            benchmark.package,
            benchmark.name,
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

#[derive(Debug, PartialEq)]
struct Benchmark {
    /// Of the workspace that it is in.
    manifest: PathBuf,
    package: String,
    name: String,
}

/// The manifests of benchmarks whose peers may not be in the lock file of what we ship: each is a workspace of its own.
fn beside_peers(root: &Path) -> Result<Vec<PathBuf>> {
    let folder = root.join("benchmarks");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut manifests = Vec::new();
    for entry in entries {
        let manifest = entry?.path().join("Cargo.toml");
        if manifest.is_file() {
            manifests.push(manifest);
        }
    }
    manifests.sort();
    Ok(manifests)
}

fn benchmarks(metadata: &Value, manifest: &Path, name: Option<&str>) -> Vec<Benchmark> {
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
                found.push(Benchmark {
                    manifest: manifest.to_owned(),
                    package: package.to_owned(),
                    name: target.to_owned(),
                });
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
        let of = |name| -> Vec<String> {
            let found = benchmarks(&metadata, Path::new("Cargo.toml"), name);
            found.into_iter().map(|found| found.name).collect()
        };
        assert_eq!(of(None), ["publish", "decode"]);
        assert_eq!(of(Some("decode")), ["decode"]);
        assert_eq!(of(Some("event-bus")), ["publish"]);
        assert!(of(Some("x")).is_empty());
    }

    #[test]
    fn benchmarks_beside_peers_are_workspaces_of_their_own() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifests = beside_peers(&root).unwrap();
        assert!(!manifests.is_empty());
        for manifest in manifests {
            let text = fs::read_to_string(&manifest).unwrap();
            assert!(text.contains("\n[workspace]\n"), "{}", manifest.display());
            assert!(manifest.with_file_name("Cargo.lock").is_file());
        }
    }
}
