//! Settings of payments: section `[payments]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use commerce_host::Settings;
use commerce_host::settings::{self, Mistake};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::webhook::{InvalidSecret, Verifier};

/// Where the sandbox listens unless it is told otherwise.
const SANDBOX: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8090);

/// Everybody can read them here, so they are secrets only where nobody else can knock.
const SANDBOX_API_KEY: &str = "sandbox-api-key";
const SANDBOX_WEBHOOK_SECRET: &str = "whsec_c2FuZGJveC13ZWJob29rLXNlY3JldC0wMDE=";

/// Settings of payments.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The entry point of the payment provider's API; by default the sandbox beside it on this machine.
    #[serde(deserialize_with = "settings::optional_web_url")]
    pub provider_url: Option<Url>,
    /// What is presented to the provider as bearer token.
    #[serde(deserialize_with = "settings::secret")]
    pub provider_api_key: SecretString,
    /// Signs the provider's webhooks: `whsec_` and base64, as Standard Webhooks writes it.
    #[serde(deserialize_with = "settings::secret")]
    pub webhook_secret: SecretString,
    /// The secret before it, as long as the provider may still sign with it.
    #[serde(deserialize_with = "optional_secret")]
    pub previous_webhook_secret: Option<SecretString>,
    /// The provider is asked about a payment that has been pending for so long.
    #[serde(deserialize_with = "settings::duration")]
    pub reconcile_after: Duration,
}

impl Config {
    /// Payments through the provider at `provider_url`.
    #[must_use]
    pub fn new(
        provider_url: Url,
        provider_api_key: SecretString,
        webhook_secret: SecretString,
    ) -> Self {
        Self {
            provider_url: Some(provider_url),
            provider_api_key,
            webhook_secret,
            previous_webhook_secret: None,
            reconcile_after: Duration::from_secs(30),
        }
    }

    /// The entry point of the payment provider's API.
    #[must_use]
    pub fn provider_url(&self) -> Url {
        self.provider_url
            .clone()
            .unwrap_or_else(|| commerce_host::local_url(SANDBOX))
    }

    /// What is wrong with these settings beyond what their types say.
    #[must_use]
    pub fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (setting, secret) in [
            ("payments.webhook_secret", Some(&self.webhook_secret)),
            (
                "payments.previous_webhook_secret",
                self.previous_webhook_secret.as_ref(),
            ),
        ] {
            if secret.is_some_and(|secret| Verifier::new([secret]).is_err()) {
                mistakes.push(Mistake::new(
                    setting,
                    "it is not a webhook secret",
                    InvalidSecret::RIGHT,
                ));
            }
        }
        let provider_is_local = settings::is_local_url(&self.provider_url());
        let known = |secret: &SecretString| secret.expose_secret() == SANDBOX_WEBHOOK_SECRET;
        for (setting, is_known) in [
            ("payments.webhook_secret", known(&self.webhook_secret)),
            (
                "payments.previous_webhook_secret",
                self.previous_webhook_secret.as_ref().is_some_and(known),
            ),
        ] {
            if is_known && !(provider_is_local && settings.is_local()) {
                mistakes.push(Mistake::new(
                    setting,
                    "the default is known to everybody: whoever reaches this service could say that orders are paid",
                    "the provider's own secret, or listen, public_url and payments.provider_url all on 127.0.0.1",
                ));
            }
        }
        let key = self.provider_api_key.expose_secret();
        if key == SANDBOX_API_KEY && !provider_is_local {
            mistakes.push(Mistake::new(
                "payments.provider_api_key",
                "the default is known to everybody and no provider's key",
                "the key that the provider gave, or payments.provider_url on 127.0.0.1",
            ));
        }
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            mistakes.push(Mistake::new(
                "payments.provider_api_key",
                "it cannot be presented as a bearer token",
                "the key that the provider gave, printable ASCII without spaces",
            ));
        }
        mistakes
    }
}

/// For a laptop: the provider sandbox beside it with its own defaults, secrets that are none.
impl Default for Config {
    fn default() -> Self {
        Self {
            provider_url: None,
            provider_api_key: SANDBOX_API_KEY.into(),
            webhook_secret: SANDBOX_WEBHOOK_SECRET.into(),
            previous_webhook_secret: None,
            reconcile_after: Duration::from_secs(30),
        }
    }
}

fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    settings::secret(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use commerce_host::Settings;

    use super::Config;

    /// The settings that are refused, for these addresses.
    fn refused(config: &Config, listen: &str, public_url: Option<&str>) -> Vec<String> {
        let mut settings = Settings::default();
        settings.listen = listen.parse().unwrap();
        settings.public_url = public_url.map(|url| url.parse().unwrap());
        let mistakes = config.check(&settings);
        mistakes
            .into_iter()
            .map(|mistake| mistake.setting)
            .collect()
    }

    #[test]
    fn secrets_that_everybody_knows_are_for_this_machine_only() {
        let at = |url: &str| Config {
            provider_url: Some(url.parse().unwrap()),
            ..Config::default()
        };
        let (home, away) = ("127.0.0.1:8080", "0.0.0.0:8080");
        let (webhook, key) = ("payments.webhook_secret", "payments.provider_api_key");
        let none: [&str; 0] = [];
        assert_eq!(refused(&Config::default(), home, None), none);
        assert_eq!(refused(&at("http://[::1]:8090"), "[::1]:1", None), none);
        assert_eq!(refused(&Config::default(), away, None), [webhook]);
        assert_eq!(
            refused(&Config::default(), home, Some("https://shop.example")),
            [webhook]
        );
        assert_eq!(
            refused(&at("https://pay.example"), home, None),
            [webhook, key]
        );
        let rotating = Config {
            previous_webhook_secret: Some(Config::default().webhook_secret),
            webhook_secret: "whsec_dGhlLXByb3ZpZGVyLXMtb3duLXNlY3JldC0wMQ==".into(),
            ..Config::default()
        };
        assert_eq!(
            refused(&rotating, away, None),
            ["payments.previous_webhook_secret"]
        );
        let own = Config {
            provider_api_key: "own-key".into(),
            previous_webhook_secret: None,
            provider_url: Some("https://pay.example".parse().unwrap()),
            ..rotating
        };
        assert_eq!(refused(&own, away, Some("https://shop.example")), none);
    }

    #[test]
    fn every_secret_that_cannot_work_is_told() {
        assert_eq!(Config::default().check(&Settings::default()), []);
        let config = Config {
            provider_api_key: "two words".into(),
            webhook_secret: "whsec_c2hvcnQ=".into(),
            previous_webhook_secret: Some("hunter2".into()),
            ..Config::default()
        };
        let mistakes = config.check(&Settings::default());
        let settings: Vec<&str> = mistakes
            .iter()
            .map(|mistake| mistake.setting.as_str())
            .collect();
        assert_eq!(
            settings,
            [
                "payments.webhook_secret",
                "payments.previous_webhook_secret",
                "payments.provider_api_key"
            ]
        );
        assert!(!format!("{mistakes:?}").contains("hunter2"));
    }

    #[test]
    fn no_secret_is_shown() {
        let config = Config::default();
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("sandbox-api-key") && !shown.contains("whsec_"),
            "{shown}"
        );
    }
}
