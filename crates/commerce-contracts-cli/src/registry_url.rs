//! The address of a schema registry, as it was typed.

use std::fmt;

/// Where a registry is. Whatever is printed of it has neither user nor password nor query: people do type secrets there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RegistryUrl(String);

impl RegistryUrl {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.trim_end_matches('/').to_owned())
    }

    #[cfg(feature = "registry")]
    pub(crate) fn as_typed(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let separator = if scheme.is_empty() { "" } else { "://" };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (rest, String::new()),
        };
        let host = authority.rsplit('@').next().unwrap_or_default();
        write!(formatter, "{scheme}{separator}{host}{path}")
    }
}

impl fmt::Debug for RegistryUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RegistryUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_has_no_secret() {
        for (typed, printed) in [
            (
                "https://registry.example.com/",
                "https://registry.example.com",
            ),
            (
                "https://user:p@ss@host:8081/apis/ccompat/v7",
                "https://host:8081/apis/ccompat/v7",
            ),
            ("http://token@host?key=secret", "http://host"),
            ("user:secret@host", "host"),
        ] {
            let url = RegistryUrl::new(typed);
            assert_eq!(url.to_string(), printed);
            assert_eq!(format!("{url:?}"), format!("RegistryUrl({printed})"));
        }
    }
}
