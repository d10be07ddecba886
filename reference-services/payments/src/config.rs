//! Settings of payments: section `[payments]`.

use std::time::Duration;

use commerce_host::Settings;
use commerce_host::settings::{self, Mistake};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::webhook::{InvalidSecret, Verifier};

/// Settings of payments.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The entry point of the payment provider's API.
    #[serde(deserialize_with = "settings::web_url")]
    pub provider_url: Url,
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
            provider_url,
            provider_api_key,
            webhook_secret,
            previous_webhook_secret: None,
            reconcile_after: Duration::from_secs(30),
        }
    }

    /// What is wrong with these settings beyond what their types say.
    #[must_use]
    pub fn check(&self, _settings: &Settings) -> Vec<Mistake> {
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
        let key = self.provider_api_key.expose_secret();
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
        let provider_url = Url::parse("http://127.0.0.1:8090/")
            .unwrap_or_else(|error| unreachable!("a constant URL is a URL: {error}"));
        Self::new(
            provider_url,
            "sandbox-api-key".into(),
            "whsec_c2FuZGJveC13ZWJob29rLXNlY3JldC0wMDE=".into(),
        )
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
