//! Cargo subcommands that rustup does not bring: built once, kept in the cache.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::progress::Task;
use crate::table::seconds;
use crate::workspace::Workspace;

/// (package, version to install)
pub(crate) type Tool = (&'static str, &'static str);

pub(super) const CARGO_DENY: Tool = ("cargo-deny", "0.20.2");
pub(crate) const CARGO_FUZZ: Tool = ("cargo-fuzz", "0.13.2");
pub(super) const CARGO_HACK: Tool = ("cargo-hack", "0.6.46");

/// A search path on which the tool is found; installs it if it is neither on the present one nor in the cache.
pub(crate) fn path_with(
    workspace: &Workspace,
    (name, version): Tool,
    task: &Task,
) -> Result<OsString> {
    let present = env::var_os("PATH").unwrap_or_default();
    let cache = workspace.cache()?.join("tools");
    let directories: Vec<PathBuf> = env::split_paths(&present)
        .chain([cache.join("bin")])
        .collect();
    let path = env::join_paths(&directories).context("PATH cannot be extended")?;
    if runs(workspace, name, &path) {
        return Ok(path);
    }
    let before = task.elapsed();
    task.step(format!(
        "installing {name} {version}; this takes minutes, once"
    ));
    let mut command = workspace.cargo();
    command
        .args([
            "install",
            "--locked",
            "--quiet",
            "--version",
            version,
            "--root",
        ])
        .arg(&cache)
        .arg(name);
    // Not among the workspace's own artifacts.
    let output = command
        .env("CARGO_TARGET_DIR", cache.join("build"))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!(
            "{name} could not be installed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    std::fs::remove_dir_all(cache.join("build"))?;
    task.step(format!(
        "{name} installed in {}",
        seconds(task.elapsed().saturating_sub(before))
    ));
    Ok(path)
}

/// Asked through cargo: not every one of them answers when it is called by its own name.
fn runs(workspace: &Workspace, name: &str, path: &OsStr) -> bool {
    let mut command = workspace.cargo();
    command
        .env("PATH", path)
        .args([name.trim_start_matches("cargo-"), "--version"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
