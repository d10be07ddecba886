//! Settings of the sandbox: section `[provider-sandbox]`.

use commerce_host::settings;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::faults::Faults;

/// Settings of the sandbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// What callers present as bearer token.
    #[serde(deserialize_with = "settings::secret")]
    pub api_key: SecretString,
    /// Where webhooks go.
    #[serde(deserialize_with = "settings::web_url")]
    pub webhook_url: Url,
    /// Signs webhooks: `whsec_` and base64, as Standard Webhooks writes it.
    #[serde(deserialize_with = "settings::secret")]
    pub webhook_secret: SecretString,
    /// Every random decision follows from it.
    pub seed: u64,
    /// Faults from the start.
    pub faults: Faults,
}

impl Config {
    /// A sandbox that reports to `webhook_url`, without faults.
    #[must_use]
    pub fn new(api_key: SecretString, webhook_url: Url, webhook_secret: SecretString) -> Self {
        Self {
            api_key,
            webhook_url,
            webhook_secret,
            seed: 1,
            faults: Faults::default(),
        }
    }
}

/// For a laptop: payments beside it at the default address, secrets that are none.
impl Default for Config {
    fn default() -> Self {
        let webhook_url = Url::parse("http://127.0.0.1:8080/webhooks/payment-provider")
            .unwrap_or_else(|error| unreachable!("a constant URL is a URL: {error}"));
        Self::new(
            "sandbox-api-key".into(),
            webhook_url,
            "whsec_c2FuZGJveC13ZWJob29rLXNlY3JldC0wMDE=".into(),
        )
    }
}
