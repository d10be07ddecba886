//! Reads the settings of all services from one file and the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use commerce_host::settings::{Configuration, Mistakes};
use serde::Deserialize;

use crate::assembly::{Assembly, Sandbox};

/// Section `[platform]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PlatformConfig {
    /// Whether the payment provider's sandbox runs here as well.
    sandbox: bool,
    /// Where it listens.
    sandbox_listen: SocketAddr,
}

impl Default for PlatformConfig {
    fn default() -> Self {
        Self {
            sandbox: true,
            sandbox_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)),
        }
    }
}

/// Reads everything, and tells every mistake at once, before anything starts.
///
/// # Errors
/// All mistakes: which setting, what is wrong, what would be right.
pub fn read(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Assembly, Mistakes> {
    let mut configuration = Configuration::read(file, variables);
    let platform = configuration.section::<PlatformConfig>("platform");
    let identity = configuration.section("identity");
    let orders = configuration.section("orders");
    let payments = configuration.section("payments");
    let notifications = configuration.section("notifications");
    let sandbox = configuration.section::<commerce_provider_sandbox::Config>("provider-sandbox");
    let settings = configuration.finish()?;
    match (platform, identity, orders, payments, notifications, sandbox) {
        (Ok(platform), Ok(identity), Ok(orders), Ok(payments), Ok(notifications), Ok(sandbox)) => {
            Ok(Assembly {
                settings,
                identity,
                orders,
                payments,
                notifications,
                sandbox: platform.sandbox.then_some(Sandbox {
                    listen: platform.sandbox_listen,
                    config: sandbox,
                }),
            })
        }
        _ => unreachable!("a section that was refused is a mistake, and finish has told it"),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_laptop_needs_no_settings() {
        let assembly = read(None, variables(&[])).unwrap();
        assert_eq!(assembly.settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(
            assembly.sandbox.unwrap().listen.to_string(),
            "127.0.0.1:8090"
        );
    }

    #[test]
    fn mistakes_of_all_services_are_told_at_once() {
        let mistakes = read(
            None,
            variables(&[
                ("COMMERCE_LISTEN", "everywhere"),
                ("COMMERCE_PAYMENTS_PROVIDER_URL", "ftp://provider"),
                ("COMMERCE_PLATFORM_SANDBOX_LISTEN", "8090"),
            ]),
        )
        .unwrap_err()
        .to_string();
        for told in ["listen", "provider_url", "sandbox_listen", "127.0.0.1:8080"] {
            assert!(mistakes.contains(told), "{told} is not in:\n{mistakes}");
        }
    }
}
