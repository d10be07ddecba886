//! Java servers as Maven artifacts: their jars with all dependencies, or an archive with everything, in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};

use super::{Missing, apt, run};
use crate::progress::Task;
use crate::workspace::on_path;

const DEPENDENCY_PLUGIN: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

const UNPACK: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack";

/// Maven 3's local repository is not safe for two at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// (group, artifact, version)
pub(crate) type Artifact = (&'static str, &'static str, &'static str);

/// The directory with the jars, if they were copied before and Java is here to run them.
pub(crate) fn cached(cache: &Path, name: &str) -> Option<PathBuf> {
    let directory = jars(cache, name);
    (directory.is_dir() && java().is_some()).then_some(directory)
}

/// Copies the artifacts and their dependencies into the cache.
pub(crate) fn fetch(
    cache: &Path,
    name: &str,
    artifacts: &[Artifact],
    task: &Task,
) -> Result<PathBuf, Missing> {
    let mut packages = Vec::new();
    if java().is_none() {
        packages.push("default-jre-headless");
    }
    if on_path("mvn").is_none() && !jars(cache, name).is_dir() {
        packages.push("maven");
    }
    if !packages.is_empty() {
        apt::install(&packages, task).map_err(|missing| Missing {
            reason: format!("it takes Java (17 or newer) and Maven: {}", missing.reason),
            packages: missing.packages,
        })?;
    }
    if let Some(directory) = cached(cache, name) {
        return Ok(directory);
    }
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    task.step("downloading with Maven");
    Ok(copy(&jars(cache, name), artifacts)?)
}

/// The directory with the files of an archive, if it was unpacked before.
pub(crate) fn unpacked(cache: &Path, name: &str) -> Option<PathBuf> {
    let directory = jars(cache, name);
    directory.is_dir().then_some(directory)
}

/// Unpacks an archive (`group:artifact:version:packaging:classifier`) into the cache.
pub(crate) fn unpack(
    cache: &Path,
    name: &str,
    archive: &str,
    task: &Task,
) -> Result<PathBuf, Missing> {
    if let Some(directory) = unpacked(cache, name) {
        return Ok(directory);
    }
    if on_path("mvn").is_none() {
        apt::install(&["maven"], task).map_err(|missing| Missing {
            reason: format!("it takes Maven: {}", missing.reason),
            packages: missing.packages,
        })?;
    }
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    task.step("downloading with Maven");
    Ok(draft(&jars(cache, name), &[], |command, files| {
        command
            .arg(UNPACK)
            .arg(format!("-Dartifact={archive}"))
            .arg(format!("-DoutputDirectory={}", files.display()));
    })?)
}

/// Runs Java with the jars in that directory.
pub(crate) fn java() -> Option<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    home.filter(|java| java.is_file())
        .or_else(|| on_path("java"))
}

/// What `-cp` takes.
pub(crate) fn class_path(jars: &Path) -> String {
    format!("{}/*", jars.display())
}

fn jars(cache: &Path, name: &str) -> PathBuf {
    cache.join("maven").join(name)
}

fn copy(directory: &Path, artifacts: &[Artifact]) -> Result<PathBuf> {
    draft(directory, artifacts, |command, files| {
        command
            .arg(DEPENDENCY_PLUGIN)
            .arg(format!("-DoutputDirectory={}", files.display()))
            .arg("-DincludeScope=runtime");
    })
}

/// Runs Maven, which is told where to put its files, beside the directory, and renames: a directory under its final name is complete.
fn draft(
    directory: &Path,
    artifacts: &[Artifact],
    goal: impl FnOnce(&mut Command, &Path),
) -> Result<PathBuf> {
    let draft = directory.with_extension(format!("draft-{}", std::process::id()));
    fs::create_dir_all(&draft).with_context(|| format!("{} cannot be created", draft.display()))?;
    let project = draft.join("pom.xml");
    fs::write(&project, project_file(artifacts))?;
    let files = draft.join("files");
    let mut command = Command::new("mvn");
    command
        .args(["-B", "-q", "-Dstyle.color=never", "-f"])
        .arg(&project);
    goal(&mut command, &files);
    let outcome = run(&mut command)
        .map_err(|error| anyhow!(gist(&error.to_string())))
        .and_then(|()| {
            fs::rename(&files, directory)
                .with_context(|| format!("{} cannot be created", directory.display()))
        });
    fs::remove_dir_all(&draft)?;
    outcome.map(|()| directory.to_owned())
}

/// Maven's complaint without its advice.
fn gist(complaint: &str) -> String {
    let advice = [
        "[Help",
        "-> [Help",
        "To see the full",
        "Re-run Maven",
        "For more information",
    ];
    let lines = complaint
        .lines()
        .map(|line| line.replace("[ERROR]", "").replace(" -> [Help 1]", ""));
    let lines = lines
        .filter(|line| !line.trim().is_empty() && !advice.iter().any(|word| line.contains(word)));
    lines.collect::<Vec<_>>().join("\n")
}

fn project_file(artifacts: &[Artifact]) -> String {
    let dependency = |(group, artifact, version): &Artifact| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>\n"
        )
    };
    let dependencies: String = artifacts.iter().map(dependency).collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>open-commerce-platform</groupId><artifactId>servers</artifactId><version>1</version>\n  \
         <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_told_without_the_advice() {
        let complaint = "mvn failed (exit status: 1): [ERROR] Could not create local repository at /x -> [Help 1]\n  [ERROR] \n  \
                         [ERROR] Re-run Maven using the -X switch\n  [ERROR] [Help 1] http://example";
        assert_eq!(
            gist(complaint),
            "mvn failed (exit status: 1):  Could not create local repository at /x"
        );
    }

    #[test]
    fn the_project_file_names_every_artifact() {
        let text = project_file(&[
            ("org.elasticmq", "elasticmq-server_2.13", "1.6.16"),
            ("g", "a", "1"),
        ]);
        assert!(
            text.contains(
                "<artifactId>elasticmq-server_2.13</artifactId><version>1.6.16</version>"
            )
        );
        assert_eq!(text.matches("<dependency>").count(), 2);
    }
}
