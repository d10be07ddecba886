//! Reads the settings of all services from one file and the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use commerce_host::Settings;
use commerce_host::settings::{Configuration, Mistake, Mistakes};
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
    let settings = configuration.finish_with(|settings| {
        let mut mistakes = Vec::new();
        if let Ok(identity) = &identity {
            mistakes.extend(commerce_identity::Config::check(identity));
        }
        if let Ok(payments) = &payments {
            mistakes.extend(commerce_payments::Config::check(payments, settings));
        }
        if let (Ok(platform), Ok(sandbox)) = (&platform, &sandbox)
            && platform.sandbox
        {
            mistakes.extend(check_sandbox(platform, sandbox, settings));
        }
        mistakes
    })?;
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

/// The sandbox stands on an address of its own.
fn check_sandbox(
    platform: &PlatformConfig,
    sandbox: &commerce_provider_sandbox::Config,
    settings: &Settings,
) -> Vec<Mistake> {
    let mut its_settings = settings.clone();
    its_settings.listen = platform.sandbox_listen;
    let mut mistakes = sandbox.check(&its_settings);
    let (ours, its) = (settings.listen, platform.sandbox_listen);
    let overlap = ours.ip() == its.ip() || ours.ip().is_unspecified() || its.ip().is_unspecified();
    if overlap && ours.port() == its.port() && its.port() != 0 {
        mistakes.push(Mistake::new(
            "platform.sandbox_listen",
            format!("{its} is taken by the platform, which listens on {ours}"),
            "another port",
        ));
    }
    mistakes
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

    #[test]
    fn what_services_know_of_their_settings_is_told_before_anything_starts() {
        let wrong = [
            ("COMMERCE_BUS", "pigeon:"),
            ("COMMERCE_IDENTITY_ADMIN_CLIENT_SECRET", "hunter2"),
            ("COMMERCE_PAYMENTS_WEBHOOK_SECRET", "hunter2"),
            ("COMMERCE_PROVIDER_SANDBOX_WEBHOOK_SECRET", "hunter2"),
            ("COMMERCE_PLATFORM_SANDBOX_LISTEN", "127.0.0.1:8080"),
        ];
        let mistakes = read(None, variables(&wrong)).unwrap_err();
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        for (variable, _) in &wrong[1..] {
            assert!(
                told.iter().any(|mistake| mistake.contains(variable)),
                "{variable}: {told:?}"
            );
        }
        assert!(told.iter().any(|mistake| mistake.starts_with("bus: ")));
        assert_eq!(told.len(), wrong.len(), "{told:?}");
        assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
        // A sandbox that does not run here may have any settings.
        let elsewhere = [
            ("COMMERCE_PLATFORM_SANDBOX", "false"),
            ("COMMERCE_PROVIDER_SANDBOX_WEBHOOK_SECRET", "hunter2"),
        ];
        assert!(read(None, variables(&elsewhere)).is_ok());
    }
}
