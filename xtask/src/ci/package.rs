//! Every published crate as it would be uploaded, built from nothing but its package and the packages of its siblings.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Context;
use crate::workspace::in_ci;

pub(super) fn check(context: &Context<'_>) -> Result<()> {
    forget_siblings(context)?;
    let mut command = context.workspace.cargo();
    // A package is built outside the workspace, without its profiles; nobody debugs what is built only to see that it builds.
    command.arg("package").env("CARGO_PROFILE_DEV_DEBUG", "0");
    for package in context.published() {
        command.args(["--package", &package.name]);
    }
    // A work in progress is packaged as it is; in CI nothing but what is committed may go into a package.
    if !in_ci() {
        command.arg("--allow-dirty");
    }
    context.execute(&mut command)
}

/// Cargo hands a package its siblings through a registry under the target directory, takes what a registry once gave for
/// unchangeable, and keeps it, unpacked and built, by name and version. Ours change within a version: without this, a package
/// would be built against what its siblings were when they were packaged at this place for the first time.
fn forget_siblings(context: &Context<'_>) -> Result<()> {
    let mut kept = Vec::new();
    if let Some(sources) = cargo_home().map(|home| home.join("registry/src")) {
        // What comes from a directory has no host's name before the hash.
        for registry in entries(&sources, |name| name.starts_with('-'))? {
            kept.push(registry);
        }
    }
    kept.push(context.target.join("debug/.fingerprint"));
    for package in context.published() {
        let is_of_package = |name: &str| {
            let rest = name.strip_prefix(package.name.as_str());
            // What follows is a version or the hash of a build; after another, longer name both come later.
            rest.and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|rest| {
                    let is_hash =
                        rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
                    is_hash || rest.starts_with(|first: char| first.is_ascii_digit())
                })
        };
        for directory in &kept {
            for stale in entries(directory, is_of_package)? {
                fs::remove_dir_all(&stale)
                    .with_context(|| format!("{} cannot be removed", stale.display()))?;
            }
        }
    }
    Ok(())
}

/// Directories whose names are wanted; none where there is no such directory.
fn entries(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let read = match fs::read_dir(directory) {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", directory.display()));
        }
    };
    let mut found = Vec::new();
    for entry in read {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name().to_str().is_some_and(&is_wanted) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::home_dir().map(|home| home.join(".cargo"));
    std::env::var_os("CARGO_HOME").map_or_else(home, |home| Some(PathBuf::from(home)))
}
