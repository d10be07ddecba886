//! Settings of payments: section `[payments]`.

use std::time::Duration;

use commerce_host::settings;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use url::Url;

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
    use super::Config;

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
