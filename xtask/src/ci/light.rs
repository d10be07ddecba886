//! Default features are light: what `cargo add commerce-event-bus` brings needs no C toolchain and no broker client.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::Context;

/// What compiles or links C from a build script.
const BUILDS_C: [&str; 6] = ["cc", "cmake", "bindgen", "pkg-config", "vcpkg", "autotools"];
/// Clients of brokers, databases and HTTP.
const CLIENTS: [&str; 10] = [
    "rdkafka",
    "lapin",
    "sqlx",
    "redis",
    "aws-config",
    "aws-sdk-sqs",
    "aws-sdk-sns",
    "reqwest",
    "hyper",
    "rusqlite",
];
/// Names of bindings to the system's own calls: declarations only, nothing is compiled or linked besides Rust.
const DECLARATIONS: [&str; 2] = ["linux-raw-sys", "windows-sys"];

/// The crates that promise it, with their default features.
const LIGHT: [&str; 5] = [
    "commerce-contracts",
    "commerce-contracts-cli",
    "commerce-contracts-derive",
    "commerce-event-bus",
    "commerce-consumer-framework",
];

pub(super) fn check(context: &Context<'_>) -> Result<()> {
    let mut heavy = Vec::new();
    for package in LIGHT {
        let crates = tree(context, package, &[])?;
        ensure!(
            crates.contains(package),
            "cargo tree does not list {package} itself"
        );
        heavy.extend(
            crates
                .iter()
                .filter(|name| is_heavy(name))
                .map(|name| format!("{package} brings {name} by default")),
        );
    }
    ensure!(heavy.is_empty(), "{}", heavy.join("\n"));
    Ok(())
}

/// The names of everything that a user of the package builds on this system.
pub(super) fn tree(
    context: &Context<'_>,
    package: &str,
    options: &[&str],
) -> Result<BTreeSet<String>> {
    let arguments = [
        "tree",
        "--package",
        package,
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let text = context.output(&[&arguments[..], options].concat())?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect())
}

fn is_heavy(name: &str) -> bool {
    let client = CLIENTS
        .iter()
        .any(|client| name == *client || name.starts_with(&format!("{client}-")));
    client || BUILDS_C.contains(&name) || (name.ends_with("-sys") && !DECLARATIONS.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_c_are_heavy() {
        for name in [
            "rdkafka",
            "rdkafka-sys",
            "sqlx-core",
            "lapin",
            "cc",
            "aws-lc-sys",
            "libsqlite3-sys",
            "hyper-util",
        ] {
            assert!(is_heavy(name), "{name}");
        }
        for name in [
            "tokio",
            "linux-raw-sys",
            "serde",
            "cc-like",
            "system-configuration",
        ] {
            assert!(!is_heavy(name), "{name}");
        }
    }
}
