//! What a registry is told about who asks: from the environment, so that it stands in no list of processes and in no log.

use std::env;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::failure::RegistryFailure;

pub(super) const USER: &str = "CONTRACTS_REGISTRY_USER";
pub(super) const PASSWORD: &str = "CONTRACTS_REGISTRY_PASSWORD";
pub(super) const TOKEN: &str = "CONTRACTS_REGISTRY_TOKEN";

/// The value of the header `Authorization`.
pub(super) struct Credentials(String);

impl Credentials {
    pub(super) fn from_environment() -> Result<Option<Self>, RegistryFailure> {
        let given = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Self::of(given(USER), given(PASSWORD), given(TOKEN))
    }

    fn of(
        user: Option<String>,
        password: Option<String>,
        token: Option<String>,
    ) -> Result<Option<Self>, RegistryFailure> {
        Ok(match (user, password, token) {
            (None, None, None) => None,
            (None, None, Some(token)) => Some(Self(format!("Bearer {token}"))),
            (Some(user), password, None) => {
                let pair = format!("{user}:{}", password.unwrap_or_default());
                Some(Self(format!("Basic {}", STANDARD.encode(pair))))
            }
            (None, Some(_), None) => return Err(RegistryFailure::PasswordWithoutUser),
            (_, _, Some(_)) => return Err(RegistryFailure::TwoCredentials),
        })
    }

    pub(super) fn header(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(user: &str, password: &str, token: &str) -> Option<String> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let credentials = Credentials::of(given(user), given(password), given(token)).ok()?;
        Some(credentials.map_or_else(String::new, |given| given.0))
    }

    #[test]
    fn one_kind_of_credentials_and_whole() {
        assert_eq!(header("", "", ""), Some(String::new()));
        assert_eq!(
            header("guest", "guest", ""),
            Some("Basic Z3Vlc3Q6Z3Vlc3Q=".to_owned())
        );
        assert_eq!(header("key", "", ""), Some("Basic a2V5Og==".to_owned()));
        assert_eq!(header("", "", "t"), Some("Bearer t".to_owned()));
        assert_eq!(header("", "secret", ""), None);
        assert_eq!(header("u", "p", "t"), None);
    }

    #[test]
    fn secrets_are_not_in_debug() {
        let credentials = Credentials("Bearer secret".to_owned());
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
