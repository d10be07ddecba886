//! The workspace's packages, as `cargo metadata` tells them.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// One package of the workspace.
#[derive(Clone, Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) published: bool,
    /// Whether there is one to build against; a tool has none.
    pub(super) library: bool,
    pub(super) directory: PathBuf,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// None: an ordinary one; else `dev` or `build`.
    pub(super) kind: Option<String>,
    pub(super) features: Vec<String>,
    pub(super) uses_default_features: bool,
}

#[derive(Deserialize)]
struct Raw {
    name: String,
    manifest_path: PathBuf,
    /// An empty list says `publish = false`.
    publish: Option<Vec<String>>,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

pub(super) fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let raw: Vec<Raw> = serde_json::from_value(metadata["packages"].clone())
        .context("cargo metadata has another shape than expected")?;
    let packages = raw.into_iter().map(|raw| Package {
        name: raw.name,
        published: raw.publish.is_none_or(|registries| !registries.is_empty()),
        library: raw
            .targets
            .iter()
            .flat_map(|target| &target.kind)
            .any(|kind| kind == "lib" || kind == "proc-macro"),
        directory: raw
            .manifest_path
            .parent()
            .map(PathBuf::from)
            .unwrap_or_default(),
        dependencies: raw.dependencies,
    });
    Ok(packages.collect())
}
