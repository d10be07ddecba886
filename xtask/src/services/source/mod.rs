//! Where server programs come from, in this order: installed already, packages, downloads, Docker.

pub(crate) mod apt;
pub(crate) mod docker;
pub(crate) mod java;
pub(crate) mod maven;
pub(crate) mod venv;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A program that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Where it came from, for people.
    pub(crate) from: String,
    /// The program, or the directory of its files: what exactly, the server's recipe knows.
    pub(crate) path: PathBuf,
}

/// Why a server cannot be had here, and which packages would change that.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) reason: String,
    pub(crate) packages: Vec<&'static str>,
}

impl Program {
    pub(crate) fn new(from: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            from: from.into(),
            path: path.into(),
        }
    }
}

impl Missing {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            packages: Vec::new(),
        }
    }
}

impl From<anyhow::Error> for Missing {
    fn from(error: anyhow::Error) -> Self {
        Self::because(format!("{error:#}"))
    }
}

/// Runs a program to its end; its output is told only if it fails.
fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{name} could not be run"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.trim().lines().collect();
    bail!(
        "{name} failed ({}): {}",
        output.status,
        lines[lines.len().saturating_sub(8)..].join("\n  ")
    )
}
