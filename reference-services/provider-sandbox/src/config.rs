//! Settings of the sandbox: section `[provider-sandbox]`.

use commerce_host::Settings;
use commerce_host::settings::{self, Mistake};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use crate::faults::Faults;
use crate::signature::Signer;

/// Everybody can read them here, so they are secrets only where nobody else can knock.
const DEFAULT_API_KEY: &str = "sandbox-api-key";
const DEFAULT_WEBHOOK_SECRET: &str = "whsec_c2FuZGJveC13ZWJob29rLXNlY3JldC0wMDE=";

/// Settings of the sandbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// What callers present as bearer token.
    #[serde(deserialize_with = "settings::secret")]
    pub api_key: SecretString,
    /// Where webhooks go; by default to payments beside it on this machine.
    #[serde(deserialize_with = "settings::optional_web_url")]
    pub webhook_url: Option<Url>,
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
            webhook_url: Some(webhook_url),
            webhook_secret,
            seed: 1,
            faults: Faults::default(),
        }
    }

    /// Where webhooks go.
    #[must_use]
    pub fn webhook_url(&self) -> Url {
        self.webhook_url.clone().unwrap_or_else(|| {
            Url::parse("http://127.0.0.1:8080/webhooks/payment-provider")
                .unwrap_or_else(|error| unreachable!("a constant URL is a URL: {error}"))
        })
    }

    /// What is wrong with these settings beyond what their types say.
    #[must_use]
    pub fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if self.api_key.expose_secret().is_empty() {
            mistakes.push(Mistake::new(
                "provider-sandbox.api_key",
                "it is empty, so everybody would be let in",
                "a text that only callers know",
            ));
        }
        if self.api_key.expose_secret() == DEFAULT_API_KEY && !settings.is_local() {
            mistakes.push(Mistake::new(
                "provider-sandbox.api_key",
                "the default is known to everybody: whoever reaches the sandbox could use it",
                "a text that only callers know, or an address to listen on such as 127.0.0.1",
            ));
        }
        if self.webhook_secret.expose_secret() == DEFAULT_WEBHOOK_SECRET
            && !settings::is_local_url(&self.webhook_url())
        {
            mistakes.push(Mistake::new(
                "provider-sandbox.webhook_secret",
                "the default is known to everybody: whoever receives these webhooks cannot tell them from forged ones",
                "a secret that only the receiver knows as well, or provider-sandbox.webhook_url on 127.0.0.1",
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
        Self {
            api_key: DEFAULT_API_KEY.into(),
            webhook_url: None,
            webhook_secret: DEFAULT_WEBHOOK_SECRET.into(),
            seed: 1,
            faults: Faults::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use commerce_host::Settings;

    use super::Config;

    #[test]
    fn secrets_that_everybody_knows_are_for_this_machine_only() {
        let mut settings = Settings::default();
        let mut config = Config {
            webhook_url: Some("https://shop.example/webhooks".parse().unwrap()),
            ..Config::default()
        };
        let mistakes = config.check(&settings);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert_eq!(mistakes[0].setting, "provider-sandbox.webhook_secret");

        settings.listen = "0.0.0.0:8090".parse().unwrap();
        assert_eq!(config.check(&settings).len(), 2);
        config.webhook_url = None;
        let mistakes = config.check(&settings);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert_eq!(mistakes[0].setting, "provider-sandbox.api_key");
        config.api_key = "own-key".into();
        assert_eq!(config.check(&settings), []);
    }

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
