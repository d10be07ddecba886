//! `cargo xtask fuzz`: the fuzz targets, one after another, each for some time.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::ci::tools::{self, CARGO_FUZZ};
use crate::progress::{Board, Mark};
use crate::table::{Table, seconds};
use crate::workspace::Workspace;

/// `cargo xtask fuzz …`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these targets; `--list` names them.
    targets: Vec<String>,
    /// How long each of them is run.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only list the targets.
    #[arg(long)]
    list: bool,
}

/// The longest input, the longest time for one, and the most memory: a decoder that needs more has a fault.
const BOUNDS: [&str; 3] = ["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"];

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let all = targets(workspace.root())?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        bail!(
            "there is no target {unknown:?}; the targets are {}",
            all.join(", ")
        );
    }
    if options.list {
        for (name, about) in abouts(workspace.root(), &all)? {
            println!("{name:20} {about}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen: Vec<_> = if options.targets.is_empty() {
        all
    } else {
        options.targets.clone()
    };

    let board = Board::new();
    let fuzzer = Fuzzer::build(workspace, &board)?;
    let mut table = Table::new(["target", "outcome", "inputs", "time", "remark"]);
    let mut failed = false;
    for name in chosen {
        let task = board.task(&name);
        task.step(format!("for {} s", options.seconds));
        let outcome = fuzzer.run(&name, options.seconds)?;
        let (mark, word) = if outcome.finding.is_none() {
            (Mark::Passed, "passed")
        } else {
            (Mark::Failed, "failed")
        };
        failed |= mark == Mark::Failed;
        let remark = outcome.finding.unwrap_or_default();
        task.finish(mark, &format!("{} inputs {remark}", outcome.inputs));
        table.row([
            name,
            word.to_owned(),
            outcome.inputs,
            seconds(task.elapsed()),
            remark,
        ]);
    }
    println!("\n{}", table.render());
    Ok(if failed {
        println!("fuzz/README.md says what to do with a finding");
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The names of the files in `fuzz/fuzz_targets`.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("rs")) {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into()));
        }
    }
    names.sort();
    Ok(names)
}

/// Each target with the first line of its documentation.
fn abouts<'a>(root: &Path, names: &'a [String]) -> Result<Vec<(&'a str, String)>> {
    let about = |name: &'a String| {
        let text = fs::read_to_string(root.join(format!("fuzz/fuzz_targets/{name}.rs")))?;
        let first = text.lines().next().unwrap_or_default();
        Ok((name.as_str(), first.trim_start_matches("//! ").to_owned()))
    };
    names.iter().map(about).collect()
}

/// Built targets.
struct Fuzzer<'a> {
    workspace: &'a Workspace,
    path: OsString,
    target_directory: PathBuf,
    logs: PathBuf,
}

struct Outcome {
    /// How many inputs were tried, as the fuzzer counts them.
    inputs: String,
    /// What came of one that broke something.
    finding: Option<String>,
}

impl<'a> Fuzzer<'a> {
    fn build(workspace: &'a Workspace, board: &Board) -> Result<Self> {
        let task = board.task("build");
        let metadata = workspace.metadata()?;
        let target_directory = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target directory")?;
        let fuzzer = Self {
            workspace,
            path: tools::path_with(workspace, CARGO_FUZZ, &task)?,
            target_directory: Path::new(target_directory).join("fuzz"),
            logs: Workspace::logs(&metadata)?,
        };
        task.step("building the targets; the first time takes minutes");
        let log = fuzzer.logs.join("fuzz-build.log");
        let built = execute(&mut fuzzer.command("build"), &log)?;
        if !built {
            task.finish(Mark::Failed, "the targets do not build");
            bail!("{}", fs::read_to_string(&log)?);
        }
        task.finish(Mark::Passed, "the targets are built");
        Ok(fuzzer)
    }

    /// Without a sanitizer: the code under test has no `unsafe`, and so no nightly compiler is needed.
    fn command(&self, verb: &str) -> Command {
        let mut command = self.workspace.cargo();
        command
            .env("PATH", &self.path)
            .args(["fuzz", verb, "--sanitizer", "none", "--target-dir"])
            .arg(&self.target_directory);
        command
    }

    fn run(&self, name: &str, seconds: u32) -> Result<Outcome> {
        // What it finds on the way goes there, and the next run begins with it; the seeds stay as they are.
        let found = self.target_directory.join("found").join(name);
        fs::create_dir_all(&found)
            .with_context(|| format!("{} cannot be made", found.display()))?;
        let seeds = self.workspace.root().join("fuzz/corpus").join(name);
        ensure!(seeds.is_dir(), "{} has no seeds", seeds.display());
        let log = self.logs.join(format!("fuzz-{name}.log"));
        let mut command = self.command("run");
        command.arg(name).args([found, seeds]).arg("--");
        command.args(BOUNDS).args([
            format!("-max_total_time={seconds}"),
            "-print_final_stats=1".to_owned(),
        ]);
        let passed = execute(&mut command, &log)?;
        let told = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        Ok(Outcome {
            inputs: inputs(&told).unwrap_or("none").to_owned(),
            finding: (!passed).then(|| format!("{}; see {}", finding(&told), log.display())),
        })
    }
}

/// Runs a command with its output in a file; false if it failed.
fn execute(command: &mut Command, log: &Path) -> Result<bool> {
    let file = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
    command
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let status = command.status().context("cargo fuzz could not be run")?;
    Ok(status.success())
}

fn inputs(log: &str) -> Option<&str> {
    log.lines()
        .rfind(|line| line.starts_with("stat::number_of_executed_units:"))?
        .split_whitespace()
        .last()
}

/// Where the fuzzer put the input that broke something.
fn finding(log: &str) -> String {
    let written = log
        .lines()
        .rev()
        .find_map(|line| line.split_once("Test unit written to "));
    match written {
        Some((_, file)) => format!("the input is {file}"),
        None => "it ended before it found anything".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_built_has_seeds_and_says_what_it_feeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        let names = targets(&root).unwrap();
        assert_eq!(manifest.matches("[[bin]]").count(), names.len());
        for (name, about) in abouts(&root, &names).unwrap() {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")));
            assert!(about.len() > 20, "{name} says {about:?}");
            let mut seeds = fs::read_dir(root.join("fuzz/corpus").join(name)).unwrap();
            assert!(seeds.next().is_some(), "{name} has no seeds");
        }
    }

    #[test]
    fn the_log_tells_what_was_tried_and_what_was_found() {
        let passed = "Done 12 runs in 1 second(s)\nstat::number_of_executed_units: 12\nstat::peak_rss_mb: 40\n";
        assert_eq!(inputs(passed), Some("12"));
        let failed = "panicked\nartifact_prefix='a/'; Test unit written to a/crash-1\n";
        assert_eq!(finding(failed), "the input is a/crash-1");
        assert_eq!(finding(""), "it ended before it found anything");
    }
}
