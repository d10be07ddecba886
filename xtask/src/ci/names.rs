//! A name that says nothing collects everything: no module or crate is called common, utils, helpers or misc.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::manifest::Package;

const EMPTY_NAMES: [&str; 9] = [
    "common",
    "commons",
    "util",
    "utils",
    "utilities",
    "helper",
    "helpers",
    "misc",
    "shared",
];

pub(super) fn violations(root: &Path, packages: &[Package]) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for package in packages {
        let name = package.name.trim_start_matches("commerce-");
        if EMPTY_NAMES.contains(&name) {
            broken.push(format!("the package {} has an empty name", package.name));
        }
        walk(&package.directory, root, &mut broken)?;
    }
    Ok(broken)
}

fn walk(directory: &Path, root: &Path, broken: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("{} cannot be read", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                walk(&path, root, broken)?;
            }
            continue;
        }
        let Some(stem) = name.strip_suffix(".rs") else {
            continue;
        };
        let shown = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        let folder = path
            .parent()
            .and_then(Path::file_name)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if EMPTY_NAMES.contains(&stem) || (stem == "mod" && EMPTY_NAMES.contains(&folder.as_str()))
        {
            broken.push(format!("{shown}: the module has an empty name"));
        }
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        broken.extend(
            inline_modules(&text)
                .map(|name| format!("{shown}: the module {name} has an empty name")),
        );
    }
    Ok(())
}

/// Modules written inside another file.
fn inline_modules(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let rest = line.trim_start();
        let rest = rest.strip_prefix("pub").map_or(rest, |rest| {
            rest.split_once(' ').map_or(rest, |(_, rest)| rest)
        });
        let name = rest.strip_prefix("mod ")?.strip_suffix('{')?.trim();
        EMPTY_NAMES.contains(&name).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_found_wherever_they_are() {
        let directory = std::env::temp_dir().join(format!("xtask-names-{}", std::process::id()));
        fs::create_dir_all(directory.join("src/helpers")).unwrap();
        fs::write(directory.join("src/helpers/mod.rs"), "").unwrap();
        fs::write(directory.join("src/utils.rs"), "").unwrap();
        fs::write(
            directory.join("src/lib.rs"),
            "mod orders {\n}\npub(crate) mod misc {\n}\nmod common_sense {\n}\n",
        )
        .unwrap();
        let package = Package {
            name: "commerce-orders".to_owned(),
            published: false,
            library: true,
            directory: directory.clone(),
            dependencies: vec![],
        };
        let common = Package {
            name: "commerce-common".to_owned(),
            ..package.clone()
        };
        let mut found = violations(&directory, &[package]).unwrap();
        found.sort();
        assert_eq!(
            found,
            [
                "src/helpers/mod.rs: the module has an empty name",
                "src/lib.rs: the module misc has an empty name",
                "src/utils.rs: the module has an empty name"
            ]
        );
        assert_eq!(violations(&directory, &[common]).unwrap().len(), 4);
        fs::remove_dir_all(&directory).unwrap();
    }
}
