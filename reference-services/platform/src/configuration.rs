//! Reads the settings of all services from one file and the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use commerce_host::settings::{Configuration, Mistake, Mistakes};
use commerce_host::{Settings, local_url};
use secrecy::{ExposeSecret as _, SecretString};
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
        let here = platform
            .as_ref()
            .ok()
            .filter(|platform| platform.sandbox)
            .map(|platform| platform.sandbox_listen);
        if let Ok(payments) = &payments {
            mistakes.extend(check_payments(payments, here, settings));
        }
        if let (Some(listen), Ok(sandbox)) = (here, &sandbox) {
            mistakes.extend(check_sandbox(listen, sandbox, settings));
            if let Ok(payments) = &payments {
                mistakes.extend(check_shared_secrets(payments, sandbox));
            }
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

/// Payments find a sandbox that runs here where it listens.
fn check_payments(
    payments: &commerce_payments::Config,
    sandbox_listen: Option<SocketAddr>,
    settings: &Settings,
) -> Vec<Mistake> {
    let mut payments = payments.clone();
    if payments.provider_url.is_none() {
        payments.provider_url = sandbox_listen.map(local_url);
    }
    payments.check(settings)
}

/// Payments and a sandbox that find each other by themselves must also believe each other.
fn check_shared_secrets(
    payments: &commerce_payments::Config,
    sandbox: &commerce_provider_sandbox::Config,
) -> Vec<Mistake> {
    let differ =
        |one: &SecretString, other: &SecretString| one.expose_secret() != other.expose_secret();
    let mut mistakes = Vec::new();
    if payments.provider_url.is_none() && differ(&payments.provider_api_key, &sandbox.api_key) {
        mistakes.push(Mistake::new(
            "payments.provider_api_key",
            "it is not the key that the sandbox wants",
            "the same text as in provider-sandbox.api_key",
        ));
    }
    if sandbox.webhook_url.is_none() && differ(&payments.webhook_secret, &sandbox.webhook_secret) {
        mistakes.push(Mistake::new(
            "payments.webhook_secret",
            "it is not the secret that the sandbox signs with",
            "the same text as in provider-sandbox.webhook_secret",
        ));
    }
    mistakes
}

/// The sandbox stands on an address of its own, and its webhooks go where the platform listens.
fn check_sandbox(
    its: SocketAddr,
    sandbox: &commerce_provider_sandbox::Config,
    settings: &Settings,
) -> Vec<Mistake> {
    let mut its_settings = settings.clone();
    its_settings.listen = its;
    its_settings.public_url = None;
    let mut sandbox = sandbox.clone();
    sandbox
        .webhook_url
        .get_or_insert_with(|| local_url(settings.listen));
    let mut mistakes = sandbox.check(&its_settings);
    let ours = settings.listen;
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
    use commerce_host::settings::SECTIONS;

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
    fn every_section_is_read_here_and_known_to_services_on_their_own() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("commerce.toml");
        let sections = SECTIONS.map(|section| format!("[{section}]\n")).concat();
        std::fs::write(&file, &sections).unwrap();
        assert!(read(Some(&file), variables(&[])).is_ok());
        std::fs::write(&file, sections + "[zebras]\n").unwrap();
        let told = read(Some(&file), variables(&[])).unwrap_err();
        let told: Vec<_> = told.iter().collect();
        let read_here = told[0].right.as_deref().unwrap();
        assert_eq!(
            read_here.matches('[').count(),
            SECTIONS.len(),
            "{read_here}"
        );

        let misspelt = variables(&[("COMMERCE_ORDER_LARGEST_PAGE", "10")]);
        let told = read(None, misspelt).unwrap_err().to_string();
        assert!(told.contains("COMMERCE_ORDERS_LARGEST_PAGE"), "{told}");
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
        // A platform that others can reach needs secrets of its own, the same on both sides.
        let open = [
            ("COMMERCE_LISTEN", "0.0.0.0:8080"),
            ("COMMERCE_PLATFORM_SANDBOX_LISTEN", "0.0.0.0:8090"),
        ];
        let mistakes = read(None, variables(&open)).unwrap_err().to_string();
        assert!(mistakes.contains("payments.webhook_secret: the default"));
        assert!(mistakes.contains("provider-sandbox.api_key: the default"));
        let own = "whsec_dGhlLXByb3ZpZGVyLXMtb3duLXNlY3JldC0wMQ==";
        let one_side = [
            ("COMMERCE_PAYMENTS_WEBHOOK_SECRET", own),
            ("COMMERCE_PROVIDER_SANDBOX_API_KEY", "own-key"),
        ];
        let mistakes = read(None, variables(&[open, one_side].concat()))
            .unwrap_err()
            .to_string();
        assert!(mistakes.contains("payments.provider_api_key: it is not the key"));
        assert!(mistakes.contains("payments.webhook_secret: it is not the secret"));
        let other_side = [
            ("COMMERCE_PROVIDER_SANDBOX_WEBHOOK_SECRET", own),
            ("COMMERCE_PAYMENTS_PROVIDER_API_KEY", "own-key"),
        ];
        read(None, variables(&[open, one_side, other_side].concat())).unwrap();

        // A sandbox that does not run here may have any settings.
        let elsewhere = [
            ("COMMERCE_PLATFORM_SANDBOX", "false"),
            ("COMMERCE_PROVIDER_SANDBOX_WEBHOOK_SECRET", "hunter2"),
        ];
        assert!(read(None, variables(&elsewhere)).is_ok());
    }
}
