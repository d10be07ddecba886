//! Python servers in a virtual environment of their own, in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::{Missing, apt, run};
use crate::progress::Task;
use crate::workspace::on_path;

/// The program of that name, if the environment was made before and its Python still runs.
pub(crate) fn cached(cache: &Path, name: &str, program: &str) -> Option<PathBuf> {
    let directory = environment(cache, name);
    let mut python = Command::new(directory.join("bin/python"));
    let runs = python
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let program = directory.join("bin").join(program);
    (runs && directory.join("complete").is_file() && program.is_file()).then_some(program)
}

/// Makes an environment with one requirement (and its dependencies) installed.
pub(crate) fn fetch(
    cache: &Path,
    name: &str,
    requirement: &str,
    program: &str,
    task: &Task,
) -> Result<PathBuf, Missing> {
    if let Some(program) = cached(cache, name, program) {
        return Ok(program);
    }
    if !has_venv() {
        apt::install(&["python3-venv"], task).map_err(|missing| Missing {
            reason: format!("it takes Python 3 with venv: {}", missing.reason),
            ..missing
        })?;
    }
    Ok(make(&environment(cache, name), requirement, task)?
        .join("bin")
        .join(program))
}

fn environment(cache: &Path, name: &str) -> PathBuf {
    cache.join("venv").join(name)
}

fn has_venv() -> bool {
    let mut python = Command::new("python3");
    python
        .args(["-c", "import venv, ensurepip"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    on_path("python3").is_some() && python.status().is_ok_and(|status| status.success())
}

/// Scripts inside name the directory, so it cannot be made elsewhere and renamed; a file says that it is complete.
fn make(directory: &Path, requirement: &str, task: &Task) -> Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("{} cannot be removed", directory.display()))?;
    }
    task.step("making a virtual environment");
    run(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
    task.step(format!("pip install {requirement}"));
    run(Command::new(directory.join("bin/pip")).args([
        "install",
        "--quiet",
        "--no-input",
        requirement,
    ]))?;
    fs::write(directory.join("complete"), requirement)?;
    Ok(directory.to_owned())
}
