//! The workspace's own tests: unit, integration and documentation tests, in one command shape, so that everything is built
//! once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use super::libtest::{Section, Transcript};
use super::tally::{Row, Tally};
use crate::progress::{Board, Mark, Task};
use crate::services::{Urls, kill_descendants};
use crate::workspace::Workspace;

pub(super) const SHAPE: [&str; 3] = ["test", "--workspace", "--all-features"];
const PLATFORM: &str = "commerce-platform";
/// Longer than anything is silent that does not hang: libtest names a test after a minute, and compile-fail tests build.
const SILENCE: Duration = Duration::from_mins(8);

/// What was built.
#[derive(Debug)]
pub(super) struct Built {
    /// Test binary's file name, or library's name, to package.
    packages: BTreeMap<String, String>,
    platform: Option<PathBuf>,
}

impl Built {
    /// The platform's program.
    pub(super) fn platform(&self) -> Option<&Path> {
        self.platform.as_deref()
    }

    fn package(&self, section: &Section) -> String {
        self.packages
            .get(&section.key)
            .cloned()
            .unwrap_or_else(|| section.key.clone())
    }
}

/// Builds all tests and the platform; the inner error is the compiler's.
pub(super) fn build(
    workspace: &Workspace,
    board: &Board,
    metadata: &Value,
    logs: &Path,
) -> Result<Result<Built, String>> {
    let task = board.task("build");
    task.step("building all tests");
    let mut command = workspace.cargo();
    command
        .args(SHAPE)
        .args(["--no-run", "--message-format=json-render-diagnostics"]);
    let mut built = Built {
        packages: library_names(metadata),
        platform: None,
    };
    let mut outcome = compile(command, &task, &logs.join("build.log"), &mut built)?;
    if outcome.is_ok() && built.platform.is_none() {
        // No test of the platform needed its program so far. The same selection keeps every dependency as it is built.
        let mut command = workspace.cargo();
        command.args(["build", "--workspace", "--all-features", "--bin", PLATFORM]);
        command.arg("--message-format=json-render-diagnostics");
        outcome = compile(command, &task, &logs.join("build-platform.log"), &mut built)?;
    }
    match &outcome {
        Ok(()) => task.finish(Mark::Passed, "built"),
        Err(_) => task.finish(Mark::Failed, "does not compile"),
    }
    Ok(outcome.map(|()| built))
}

/// Runs the tests; adds a row for every package.
pub(super) fn run(
    workspace: &Workspace,
    board: &Board,
    built: &Built,
    urls: &Urls,
    filter: Option<&str>,
    logs: &Path,
    tally: &mut Tally,
) -> Result<()> {
    let task = board.task("workspace");
    task.step("running the workspace's tests");
    let (reader, writer) = std::io::pipe()?;
    let mut command = workspace.cargo();
    command
        .args(SHAPE)
        .args(["--no-fail-fast", "--color", "never"]);
    // One pipe for both: cargo names the binary on standard error, the binary answers on standard output, and only the order
    // tells which answer belongs to which.
    command
        .envs(urls)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    command.args(["--", "--show-output"]).args(filter);
    let mut child = command.spawn().context("cargo test could not be run")?;
    // It holds the writing ends; as long as it lives, the reader waits for more.
    drop(command);
    let file = logs.join("workspace.log");
    let mut log =
        File::create(&file).with_context(|| format!("{} cannot be written", file.display()))?;
    let mut transcript = Transcript::default();
    let mut errors = Vec::new();
    let (alive, silence) = mpsc::channel();
    let cargo = child.id();
    thread::spawn(move || end_what_hangs(&silence, cargo));
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        // Nobody listens any more once a process could not be ended.
        let _ = alive.send(());
        writeln!(log, "{line}")?;
        if line.starts_with("error: could not") || line.starts_with("error[") {
            errors.push(line.clone());
        }
        if let Some(section) = transcript.line(&line) {
            announce(&task, &built.package(section), section);
        } else if let (Some(section), true) = (transcript.current(), line.starts_with("test ")) {
            task.detail(format!(
                "{} {}: {line}",
                built.package(section),
                section.title
            ));
        }
    }
    let status = child.wait()?;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for section in transcript.finish() {
        let package = built.package(&section);
        let row = rows.entry(package.clone()).or_insert_with(|| Row {
            name: package,
            ..Row::default()
        });
        row.passed += section.passed;
        row.failed += section.failed;
        row.skipped += section.skipped;
        row.time += section.time;
        row.complaints.extend(section.complaints);
    }
    let failed: u64 = rows.values().map(|row| row.failed).sum();
    for row in rows
        .into_values()
        .filter(|row| row.passed + row.failed + row.skipped > 0)
    {
        tally.add(row);
    }
    if failed == 0 && !status.success() {
        let why = format!(
            "cargo test ended with {status}: {}; see {}",
            errors.join("; "),
            file.display()
        );
        tally.add(Row::failed("workspace", why));
    }
    let mark = if status.success() {
        Mark::Passed
    } else {
        Mark::Failed
    };
    task.finish(
        mark,
        &format!("everything they printed is in {}", file.display()),
    );
    Ok(())
}

/// One test that hangs must not cost the results of all others: its binary is ended, which counts as a failure, and cargo
/// goes on with the next one.
fn end_what_hangs(silence: &Receiver<()>, cargo: u32) {
    loop {
        match silence.recv_timeout(SILENCE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                if kill_descendants(cargo).is_err() {
                    return;
                }
            }
        }
    }
}

fn announce(task: &Task, package: &str, section: &Section) {
    let (passed, failed, skipped) = (section.passed, section.failed, section.skipped);
    if passed + failed + skipped > 0 {
        let counts = format!("{passed} passed, {failed} failed, {skipped} skipped");
        task.step(format!(
            "{package} {}: {counts} ({:.1} s)",
            section.title,
            section.time.as_secs_f64()
        ));
    }
}

/// Runs a build; reads its messages as they come.
fn compile(
    mut command: Command,
    task: &Task,
    log: &Path,
    built: &mut Built,
) -> Result<Result<(), String>> {
    command
        .args(["--color", "never"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("cargo could not be run")?;
    let stdout = child
        .stdout
        .take()
        .context("its standard output is not ours")?;
    let stderr = child
        .stderr
        .take()
        .context("its standard error is not ours")?;
    let mut file =
        File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
    let diagnostics = thread::scope(|scope| -> Result<Vec<String>> {
        let reader = scope.spawn(|| -> Result<Vec<String>> {
            let mut diagnostics = Vec::new();
            for line in BufReader::new(stderr).lines() {
                let line = line?;
                writeln!(file, "{line}")?;
                let status = line.trim_start().split(' ').next().unwrap_or_default();
                match status {
                    "Compiling" | "Checking" | "Downloading" | "Downloaded" | "Blocking" => {
                        task.detail(line.trim_start());
                    }
                    "Finished" | "Fresh" | "Executable" | "Updating" | "Locking" | "Adding" => {}
                    _ => diagnostics.push(line),
                }
            }
            Ok(diagnostics)
        });
        for line in BufReader::new(stdout).lines() {
            // A line that is no message is output of a build script.
            if let Ok(message) = serde_json::from_str::<Value>(&line?) {
                note_artifact(&message, built);
            }
        }
        reader
            .join()
            .map_err(|_| anyhow!("reading cargo's messages panicked"))?
    })?;
    let status = child.wait()?;
    Ok(if status.success() {
        Ok(())
    } else {
        Err(diagnostics.join("\n"))
    })
}

fn note_artifact(message: &Value, built: &mut Built) {
    let Some(executable) = message["executable"].as_str() else {
        return;
    };
    let path = Path::new(executable);
    if message["profile"]["test"] == true {
        let package = package_name(message["package_id"].as_str().unwrap_or_default());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        built.packages.insert(name.into_owned(), package);
    } else if message["target"]["name"] == PLATFORM {
        built.platform = Some(path.to_owned());
    }
}

/// `path+file:///…/crates/event-bus#commerce-event-bus@0.1.0`, or `…/xtask#0.1.0` where the directory has the name.
fn package_name(id: &str) -> String {
    let (path, fragment) = id.rsplit_once('#').unwrap_or(("", id));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => path.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

/// Documentation tests are announced by the library's name.
fn library_names(metadata: &Value) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let Some(name) = package["name"].as_str() else {
            continue;
        };
        for target in package["targets"].as_array().into_iter().flatten() {
            let kinds = target["kind"].as_array().into_iter().flatten();
            if kinds
                .filter_map(Value::as_str)
                .any(|kind| kind == "lib" || kind == "proc-macro")
            {
                names.insert(
                    target["name"].as_str().unwrap_or_default().to_owned(),
                    name.to_owned(),
                );
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn packages_are_read_from_identifiers() {
        assert_eq!(
            package_name("path+file:///w/crates/event-bus#commerce-event-bus@0.1.0"),
            "commerce-event-bus"
        );
        assert_eq!(package_name("path+file:///w/xtask#0.1.0"), "xtask");
    }

    #[test]
    fn artifacts_and_libraries_are_assigned_to_packages() {
        let metadata = json!({"packages": [{"name": "commerce-event-bus", "targets": [
            {"name": "commerce_event_bus", "kind": ["lib"]}, {"name": "memory", "kind": ["test"]}]}]});
        let mut built = Built {
            packages: library_names(&metadata),
            platform: None,
        };
        let id = "path+file:///w/crates/event-bus#commerce-event-bus@0.1.0";
        note_artifact(
            &json!({"package_id": id, "executable": "/t/debug/deps/memory-99", "profile": {"test": true}}),
            &mut built,
        );
        note_artifact(
            &json!({"package_id": "x", "executable": "/t/debug/commerce-platform", "profile": {"test": false},
                "target": {"name": "commerce-platform"}}),
            &mut built,
        );
        note_artifact(&json!({"package_id": id, "executable": null}), &mut built);
        assert_eq!(built.packages["memory-99"], "commerce-event-bus");
        assert_eq!(built.packages["commerce_event_bus"], "commerce-event-bus");
        assert_eq!(
            built.platform(),
            Some(Path::new("/t/debug/commerce-platform"))
        );
    }
}
