//! Settings of the sandbox: section `[provider-sandbox]`.

use commerce_host::Settings;
use commerce_host::settings::{self, Mistake};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use crate::faults::Faults;
use crate::signature::Signer;

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

    /// What is wrong with these settings beyond what their types say.
    #[must_use]
    pub fn check(&self, _settings: &Settings) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if self.api_key.expose_secret().is_empty() {
            mistakes.push(Mistake::new(
                "provider-sandbox.api_key",
                "it is empty, so everybody would be let in",
                "a text that only callers know",
            ));
        }
        if Signer::new(&self.webhook_secret).is_err() {
            mistakes.push(Mistake::new(
                "provider-sandbox.webhook_secret",
                "it is not a webhook secret",
                Signer::RIGHT,
            ));
        }
        for (field, rate) in self.faults.wrong_rates() {
            mistakes.push(Mistake::new(
                format!("provider-sandbox.faults.{field}"),
                format!("{rate} is not a rate"),
                "a share from 0 to 1, such as 0.05",
            ));
        }
        mistakes
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

#[cfg(test)]
mod tests {
    use commerce_host::Settings;

    use super::Config;

    #[test]
    fn everything_that_cannot_work_is_told() {
        assert_eq!(Config::default().check(&Settings::default()), []);
        let mut config = Config {
            api_key: "".into(),
            webhook_secret: "hunter2".into(),
            ..Config::default()
        };
        config.faults.error_rate = 4.0;
        config.faults.reject_rate = f64::NAN;
        let mistakes = config.check(&Settings::default());
        let settings: Vec<&str> = mistakes
            .iter()
            .map(|mistake| mistake.setting.as_str())
            .collect();
        assert_eq!(
            settings,
            [
                "provider-sandbox.api_key",
                "provider-sandbox.webhook_secret",
                "provider-sandbox.faults.error_rate",
                "provider-sandbox.faults.reject_rate"
            ]
        );
        assert!(!format!("{mistakes:?}").contains("hunter2"));
    }
}
