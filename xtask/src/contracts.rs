//! `cargo xtask contracts`: the gates of all crates that declare events, and whether each such crate has one.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::workspace::Workspace;

/// What the gate is told by.
const BLESS: &str = "CONTRACTS_BLESS";

/// `cargo xtask contracts …`
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compares every event type with the schema that is committed for it.
    Check(Options),
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Records what is new or changed compatibly; what breaks somebody is refused all the same.
    #[arg(long)]
    bless: bool,
}

/// A test target with a gate in it, as arguments of `cargo test`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gate {
    package: String,
    target: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, command: &Command) -> Result<ExitCode> {
    let Command::Check(options) = command;
    let gates = gates_of_all(&workspace.metadata()?)?;
    ensure!(
        !gates.is_empty(),
        "no crate of the workspace declares an event"
    );
    let mut failed = Vec::new();
    for Gate { package, target } in gates {
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--all-features", "--package", &package]);
        cargo.args(&target);
        // Only what is asked for here counts, not what the shell was left with.
        cargo.env(BLESS, if options.bless { "1" } else { "0" });
        let status = cargo.status().context("cargo test could not be run")?;
        if !status.success() {
            failed.push(format!("{package} ({})", target.join(" ")));
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "the contracts are not what is committed: {}",
        failed.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

/// An error where a package declares events and nothing guards them.
pub(crate) fn ensure_guarded(metadata: &Value) -> Result<()> {
    gates_of_all(metadata).map(drop)
}

fn gates_of_all(metadata: &Value) -> Result<Vec<Gate>> {
    let (gates, unguarded) = gates(metadata)?;
    ensure!(
        unguarded.is_empty(),
        "{} declare events and no test guards them: add `commerce_contracts::assert_compatible!()` to one",
        unguarded.join(", ")
    );
    Ok(gates)
}

/// The gates of the workspace, and the packages that declare events in their library without one.
fn gates(metadata: &Value) -> Result<(Vec<Gate>, Vec<String>)> {
    let (mut gates, mut unguarded) = (Vec::new(), Vec::new());
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let Some(directory) = Path::new(manifest).parent() else {
            continue;
        };
        let mut own = Vec::new();
        let (mut declares, mut guards) = (false, false);
        each_source(&directory.join("src"), &mut |_, text| {
            declares |= declares_event(text);
            guards |= has_gate(text);
        })?;
        if guards {
            own.push(vec!["--lib".to_owned()]);
        }
        for target in package["targets"].as_array().into_iter().flatten() {
            let kinds = target["kind"].as_array().into_iter().flatten();
            if !kinds.filter_map(Value::as_str).any(|kind| kind == "test") {
                continue;
            }
            let path = target["src_path"].as_str().unwrap_or_default();
            let text =
                fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))?;
            if has_gate(&text) {
                let name_of_test = target["name"].as_str().unwrap_or_default();
                own.push(vec!["--test".to_owned(), name_of_test.to_owned()]);
            }
        }
        if declares && own.is_empty() {
            unguarded.push(name.to_owned());
        }
        gates.extend(own.into_iter().map(|target| Gate {
            package: name.to_owned(),
            target,
        }));
    }
    Ok((gates, unguarded))
}

fn each_source(directory: &Path, visit: &mut impl FnMut(&Path, &str)) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    let entries = fs::read_dir(directory)
        .with_context(|| format!("{} cannot be read", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            each_source(&path, visit)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            visit(&path, &text);
        }
    }
    Ok(())
}

/// Code alone: documentation shows events that nobody declares.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"))
}

fn has_gate(text: &str) -> bool {
    code(text).any(|line| {
        // What stands in a text is not called.
        let before_texts = line.split('"').next().unwrap_or_default();
        before_texts.contains("assert_compatible!(")
    })
}

/// An attribute begins its line; what stands in a text does not.
fn declares_event(text: &str) -> bool {
    let code: Vec<&str> = code(text).collect();
    (0..code.len()).any(|start| {
        let Some(first) = code[start].strip_prefix("#[derive(") else {
            return false;
        };
        let list = format!("{first} {}", code[start + 1..].join(" "));
        let list = list.split(')').next().unwrap_or_default();
        list.split(',').any(|name| {
            let name = name.trim();
            name == "Event" || name.ends_with("::Event")
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_what_code_derives() {
        for text in [
            "#[derive(Debug, Event)]\nstruct A;",
            "#[derive(\n    Debug,\n    commerce_contracts::Event,\n)]\nstruct A;",
        ] {
            assert!(declares_event(text), "{text}");
        }
        for text in [
            "/// #[derive(Event)]\nstruct A;",
            "#[derive(Debug)]\nstruct Event;",
            "#[derive(EventLike)]\nstruct A;",
            "let advice = \"`#[derive(Event)]` it\";",
        ] {
            assert!(!declares_event(text), "{text}");
        }
    }

    #[test]
    fn a_crate_with_events_has_a_gate_or_is_named() {
        let root = std::env::temp_dir().join(format!("xtask-contracts-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("guarded/src/lib.rs", "#[derive(Event)]\nstruct A;");
        write(
            "guarded/tests/gate.rs",
            "commerce_contracts::assert_compatible!();",
        );
        write("guarded/tests/other.rs", "// assert_compatible!()");
        write("bare/src/deep/events.rs", "#[derive(Event)]\nstruct A;");
        write(
            "inside/src/lib.rs",
            "#[derive(Event)]\nstruct A;\nassert_compatible!();",
        );
        write("without/src/lib.rs", "struct A;");
        let package = |name: &str, tests: &[&str]| {
            let path = |path: &str| root.join(name).join(path).display().to_string();
            let targets: Vec<Value> = tests
                .iter()
                .map(|test| json!({"name": test, "kind": ["test"], "src_path": path(&format!("tests/{test}.rs"))}))
                .collect();
            json!({"name": name, "manifest_path": path("Cargo.toml"), "targets": targets})
        };
        let metadata = json!({"packages": [
            package("guarded", &["gate", "other"]), package("bare", &[]), package("inside", &[]), package("without", &[]),
        ]});
        let (gates, unguarded) = gates(&metadata).unwrap();
        fs::remove_dir_all(&root).unwrap();
        let told: Vec<String> = gates
            .iter()
            .map(|gate| format!("{} {}", gate.package, gate.target.join(" ")))
            .collect();
        assert_eq!(told, ["guarded --test gate", "inside --lib"]);
        assert_eq!(unguarded, ["bare"]);
    }
}
