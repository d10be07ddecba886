//! Where things are: the repository, its target directory, the download cache; and how cargo is called.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The repository this command was started in.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Asked at run time, not compiled in: a shared target directory may hold another clone's build of this program.
    pub(crate) fn locate() -> Result<Self> {
        let start = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(directory) => PathBuf::from(directory),
            None => env::current_dir().context("no current directory")?,
        };
        for directory in start.ancestors() {
            if directory.join("Cargo.toml").is_file()
                && directory.join("xtask/Cargo.toml").is_file()
            {
                return Ok(Self {
                    root: directory.to_owned(),
                });
            }
        }
        bail!("{} is not inside the repository", start.display())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Downloads and installed tools: outside `target`, so that `cargo clean` keeps them and other clones share them.
    pub(crate) fn cache(&self) -> Result<PathBuf> {
        if let Some(directory) = directory_from("COMMERCE_CACHE_DIR") {
            return Ok(self.root.join(directory));
        }
        let base = directory_from("XDG_CACHE_HOME")
            .or_else(|| directory_from("HOME").map(|home| home.join(".cache")))
            .context("neither COMMERCE_CACHE_DIR nor XDG_CACHE_HOME nor HOME says where to keep downloads")?;
        Ok(base.join("open-commerce-platform"))
    }

    /// Data and state of the servers started here.
    pub(crate) fn services_directory(&self) -> PathBuf {
        match directory_from("COMMERCE_SERVICES_DIR") {
            Some(directory) => self.root.join(directory),
            None => self.root.join(".services"),
        }
    }

    /// Of the servers that demos have to themselves.
    pub(crate) fn demo_services_directory(&self) -> PathBuf {
        self.services_directory().join("demo")
    }

    /// Of the servers that a suite has to itself.
    pub(crate) fn suite_directory(&self, suite: &str) -> PathBuf {
        self.services_directory().join(suite)
    }

    /// A cargo command at the root, without the variables that `cargo run` set for this very program.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_")
                || text.starts_with("CARGO_MANIFEST_")
                || text == "CARGO_BIN_NAME"
            {
                command.env_remove(&name);
            }
        }
        command
    }

    /// `cargo metadata` of the workspace's own packages.
    pub(crate) fn metadata(&self) -> Result<Value> {
        self.metadata_of(&self.root.join("Cargo.toml"))
    }

    /// The same of another workspace in this repository.
    pub(crate) fn metadata_of(&self, manifest: &Path) -> Result<Value> {
        let output = self
            .cargo()
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .arg("--manifest-path")
            .arg(manifest)
            .output()
            .context("cargo metadata could not be run")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        serde_json::from_slice(&output.stdout)
            .context("cargo metadata printed something else than JSON")
    }

    /// Where logs of test suites and CI steps are kept.
    pub(crate) fn logs(metadata: &Value) -> Result<PathBuf> {
        let target = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target directory")?;
        let logs = Path::new(target).join("xtask");
        std::fs::create_dir_all(&logs)
            .with_context(|| format!("{} cannot be created", logs.display()))?;
        Ok(logs)
    }
}

/// True where a promise must be kept: what is skipped on a laptop is a failure there.
pub(crate) fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// The first program of that name on PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

fn directory_from(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
