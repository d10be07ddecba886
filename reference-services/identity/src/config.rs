//! Settings of the service.

use std::collections::BTreeMap;
use std::time::Duration;

use commerce_host::settings::Mistake;
use commerce_identity_client::Permission;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::{clients, roles, secret};

/// The longest life a token can be given. Retired keys stay published for longer than that.
pub(crate) const LONGEST_TOKEN_LIFE: Duration = Duration::from_hours(1);

/// Settings of the service, section `[identity]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// How long a token lives: one second to one hour. Tokens are not revoked, so a short life is what limits the use of
    /// a stolen one.
    #[serde(deserialize_with = "token_life")]
    pub token_life: Duration,
    /// How long a key signs before the next one takes over.
    #[serde(deserialize_with = "commerce_host::settings::duration")]
    pub rotate_keys_every: Duration,
    /// How long the next key is published before it signs; longer than verifiers keep a key set.
    #[serde(deserialize_with = "commerce_host::settings::duration")]
    pub publish_keys_ahead: Duration,
    /// The id of the administrator's client, made at the first start.
    pub admin_client_id: String,
    /// Its secret. Without one, a secret is made and written to [`AdminCredentials::FILE`](crate::AdminCredentials::FILE)
    /// in the data directory. A new secret here replaces the old one at the next start.
    #[serde(deserialize_with = "optional_secret")]
    pub admin_client_secret: Option<SecretString>,
    /// Roles beside the built-in ones, or in place of them: names and their permissions.
    pub roles: BTreeMap<String, Vec<Permission>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            token_life: Duration::from_mins(5),
            rotate_keys_every: Duration::from_hours(30 * 24),
            publish_keys_ahead: Duration::from_hours(1),
            admin_client_id: "admin".to_owned(),
            admin_client_secret: None,
            roles: BTreeMap::new(),
        }
    }
}

impl Config {
    /// What is wrong with these settings beyond what their types say.
    #[must_use]
    pub fn check(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if self.publish_keys_ahead.is_zero() || self.publish_keys_ahead >= self.rotate_keys_every {
            mistakes.push(Mistake::new(
                "identity.publish_keys_ahead",
                "a key must be published before it signs, and not before its predecessor does",
                "longer than nothing and shorter than identity.rotate_keys_every",
            ));
        }
        if !clients::is_client_id(&self.admin_client_id) {
            mistakes.push(Mistake::new(
                "identity.admin_client_id",
                format!("`{}` is not a client id", self.admin_client_id),
                clients::CLIENT_ID_RULE,
            ));
        }
        if let Some(secret) = &self.admin_client_secret
            && !secret::is_strong_enough(secret.expose_secret())
        {
            mistakes.push(Mistake::new(
                "identity.admin_client_secret",
                "it is not usable",
                secret::RULE,
            ));
        }
        for name in self.roles.keys() {
            if !roles::is_role_name(name) || name == roles::OPERATOR {
                mistakes.push(Mistake::new(
                    format!("identity.roles.{name}"),
                    "a role of this name cannot be defined",
                    format!(
                        "lower-case letters, digits and '-', beginning with a letter, and not `{}`",
                        roles::OPERATOR
                    ),
                ));
            }
        }
        mistakes
    }
}

fn token_life<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let life = commerce_host::settings::duration(deserializer)?;
    if (Duration::from_secs(1)..=LONGEST_TOKEN_LIFE).contains(&life) {
        Ok(life)
    } else {
        Err(D::Error::custom(
            "a token lives at least 1s and at most 1h; right would be 5m",
        ))
    }
}

fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    commerce_host::settings::secret(deserializer).map(Some)
}
