//! The events of a package, as their derive announces them.

use crate::Contract;

/// One `#[derive(Event)]`. Written by the macro; no part of the API.
#[derive(Debug)]
pub struct Registration {
    contract: fn() -> &'static Contract,
    package: &'static str,
    module: &'static str,
    name: &'static str,
}

impl Registration {
    /// What the macro writes.
    pub const fn new(
        contract: fn() -> &'static Contract,
        package: &'static str,
        module: &'static str,
        name: &'static str,
    ) -> Self {
        Self {
            contract,
            package,
            module,
            name,
        }
    }
}

inventory::collect!(Registration);

/// An event type that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The path of the type: `shop::orders::OrderPlaced`.
    pub(super) path: String,
    pub(super) contract: &'static Contract,
}

/// Every event that the package declares and this program links, by path.
pub(super) fn events_of(package: &str) -> Vec<Found> {
    let mut found: Vec<Found> = inventory::iter::<Registration>()
        .filter(|registration| registration.package == package)
        .map(|registration| Found {
            path: format!("{}::{}", registration.module, registration.name),
            contract: (registration.contract)(),
        })
        .collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}
