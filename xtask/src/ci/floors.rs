//! Who may depend on whom: an arrow only goes down.
//!
//! That no third party's type shows in a published crate's public interface is not checked here; it takes a reader.

use anyhow::Result;

use super::Context;
use super::light::tree;
use super::manifest::{Dependency, Package};

/// Each published crate, with those of ours that it may use.
const CRATES: [(&str, &[&str]); 7] = [
    ("commerce-contracts-derive", &[]),
    ("commerce-contracts", &["commerce-contracts-derive"]),
    ("commerce-contracts-cli", &["commerce-contracts"]),
    ("commerce-event-bus", &["commerce-contracts"]),
    (
        "commerce-consumer-framework",
        &["commerce-contracts", "commerce-event-bus"],
    ),
    ("commerce-resilient-client", &[]),
    ("commerce-identity-client", &["commerce-resilient-client"]),
];
/// What every service stands on.
const HOST: &str = "commerce-host";
/// The one that puts the services together.
const PLATFORM: &str = "commerce-platform";
/// Plays the outside world, for tests of a service and for the platform's demo.
const SANDBOX: &str = "commerce-provider-sandbox";

/// Runtimes, transports and databases: contracts are data.
const NOT_IN_CONTRACTS: [&str; 16] = [
    "tokio",
    "async-std",
    "smol",
    "async-io",
    "hyper",
    "reqwest",
    "ureq",
    "axum",
    "tonic",
    "sqlx",
    "rdkafka",
    "lapin",
    "aws-config",
    "redis",
    "rustls",
    "socket2",
];

pub(super) fn violations(packages: &[Package]) -> Vec<String> {
    let mut broken = Vec::new();
    let ours = |name: &str| packages.iter().find(|package| package.name == name);
    for package in packages {
        let upwards = package
            .dependencies
            .iter()
            .filter(|dependency| ours(&dependency.name).is_some());
        for dependency in upwards.filter(|dependency| dependency.name != package.name) {
            if let Some(why) = forbidden(
                package,
                dependency,
                ours(&dependency.name).is_some_and(|to| to.published),
            ) {
                broken.push(format!(
                    "{} depends on {}: {why}",
                    package.name, dependency.name
                ));
            }
        }
        if package.name == "commerce-event-bus" {
            broken.extend(package.dependencies.iter().filter_map(vocabulary));
        }
    }
    broken
}

/// Contracts stay free of input and output in every combination of their features.
pub(super) fn violations_of_contracts(context: &Context<'_>) -> Result<Vec<String>> {
    let crates = tree(context, "commerce-contracts", &["--all-features"])?;
    Ok(NOT_IN_CONTRACTS
        .iter()
        .filter(|name| crates.iter().any(|found| found == *name))
        .map(|name| {
            format!(
                "commerce-contracts depends on {name}: contracts know no runtime and no transport"
            )
        })
        .collect())
}

fn forbidden(package: &Package, dependency: &Dependency, published: bool) -> Option<&'static str> {
    let for_tests = dependency.kind.as_deref() == Some("dev");
    if let Some((_, allowed)) = CRATES.iter().find(|(name, _)| *name == package.name) {
        let allowed = allowed.contains(&dependency.name.as_str());
        return (!allowed).then_some("a published crate only depends on the floors below it");
    }
    if package.published {
        return Some("this crate is published and has no floor yet; add it to the list in xtask");
    }
    let fits = published
        || package.name == PLATFORM
        || (dependency.name == HOST && package.name != HOST)
        || (dependency.name == SANDBOX && for_tests);
    (!fits).then_some("services meet in contracts and in HTTP, not in code")
}

fn vocabulary(dependency: &Dependency) -> Option<String> {
    let enabled = dependency.uses_default_features
        || dependency
            .features
            .iter()
            .any(|feature| feature == "vocabulary");
    let concerned =
        dependency.name == "commerce-contracts" && dependency.kind.as_deref() != Some("dev");
    (concerned && enabled)
        .then(|| "commerce-event-bus switches on the commerce vocabulary of commerce-contracts: a bus knows no commerce".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, published: bool, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
            features: Vec::new(),
            uses_default_features: false,
        };
        Package {
            name: name.to_owned(),
            published,
            library: true,
            directory: "/".into(),
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }

    fn house() -> Vec<Package> {
        vec![
            package("commerce-contracts", true, &[("serde", None)]),
            package(
                "commerce-event-bus",
                true,
                &[("commerce-contracts", None), ("tokio", None)],
            ),
            package("commerce-host", false, &[("commerce-event-bus", None)]),
            package(
                "commerce-provider-sandbox",
                false,
                &[("commerce-host", None)],
            ),
            package(
                "commerce-orders",
                false,
                &[("commerce-host", None), ("commerce-contracts", None)],
            ),
            package(
                "commerce-payments",
                false,
                &[
                    ("commerce-host", None),
                    ("commerce-provider-sandbox", Some("dev")),
                ],
            ),
            package(
                "commerce-platform",
                false,
                &[("commerce-orders", None), ("commerce-payments", None)],
            ),
        ]
    }

    #[test]
    fn the_house_stands() {
        assert_eq!(violations(&house()), Vec::<String>::new());
    }

    #[test]
    fn arrows_upwards_and_sideways_are_seen() {
        for (package, dependency, kind) in [
            ("commerce-contracts", "commerce-event-bus", None),
            ("commerce-contracts", "commerce-event-bus", Some("dev")),
            ("commerce-event-bus", "commerce-host", None),
            ("commerce-orders", "commerce-payments", None),
            ("commerce-orders", "commerce-payments", Some("dev")),
            ("commerce-payments", "commerce-provider-sandbox", None),
            ("commerce-host", "commerce-orders", None),
            ("commerce-orders", "commerce-platform", None),
        ] {
            let mut house = house();
            let from = house
                .iter_mut()
                .find(|candidate| candidate.name == package)
                .unwrap();
            from.dependencies.push(Dependency {
                name: dependency.to_owned(),
                kind: kind.map(str::to_owned),
                features: Vec::new(),
                uses_default_features: false,
            });
            if dependency == "commerce-provider-sandbox" {
                from.dependencies.retain(|known| known.kind.is_none());
            }
            assert_eq!(
                violations(&house).len(),
                1,
                "{package} -> {dependency} ({kind:?})"
            );
        }
    }

    #[test]
    fn the_bus_knows_no_commerce() {
        for (features, default, number) in [
            (vec![], false, 0),
            (vec!["vocabulary".to_owned()], false, 1),
            (vec![], true, 1),
        ] {
            let mut house = house();
            let bus = house
                .iter_mut()
                .find(|package| package.name == "commerce-event-bus")
                .unwrap();
            bus.dependencies[0].features = features;
            bus.dependencies[0].uses_default_features = default;
            assert_eq!(violations(&house).len(), number);
        }
    }

    #[test]
    fn a_new_published_crate_needs_a_floor() {
        let mut house = house();
        house.push(package(
            "commerce-new",
            true,
            &[("commerce-contracts", None)],
        ));
        assert_eq!(violations(&house).len(), 1);
    }
}
