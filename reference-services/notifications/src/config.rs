//! The section `[notifications]` of the settings.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use commerce_host::settings::ConnectionUrl;
use lettre::message::Mailbox as Address;
use serde::de::{Deserialize, Deserializer, Error};

use crate::transport::{Transport, smtp};

/// The settings of this service.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// How e-mails leave: `mailbox:FILE`, `smtp://…` or `smtps://…`; by default a mailbox in the data directory.
    pub transport: Option<TransportUrl>,
    /// Who writes to the customers: `Name <address>`.
    pub from: Sender,
    /// How many e-mails are written at the same time.
    pub concurrency: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transport: None,
            from: Sender::default(),
            concurrency: 32,
        }
    }
}

impl Config {
    pub(crate) fn transport(&self, data: &Path) -> TransportUrl {
        self.transport
            .clone()
            .unwrap_or_else(|| TransportUrl::Mailbox(data.join("mailbox.mbox")))
    }
}

/// How e-mails leave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportUrl {
    /// A file of messages (mbox).
    Mailbox(PathBuf),
    /// A mail server: `smtp://HOST:PORT` in the clear, `smtp://USER:PASSWORD@HOST:PORT?tls=required` with STARTTLS,
    /// `smtps://…` with TLS from the first byte.
    Smtp(ConnectionUrl),
}

impl TransportUrl {
    const RIGHT: &str = "right would be mailbox:FILE, smtp://HOST:PORT, \
                         smtp://USER:PASSWORD@HOST:587?tls=required or smtps://USER:PASSWORD@HOST:465";

    /// Reads a URL; the error does not show it, for it may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("mailbox", "")) => Err(format!("the mailbox has no file; {}", Self::RIGHT)),
            Some(("mailbox", file)) => Ok(Self::Mailbox(PathBuf::from(file))),
            Some(("smtp" | "smtps", _)) => match smtp::builder(url) {
                Ok(_) => Ok(Self::Smtp(ConnectionUrl::new(url))),
                Err(_) => Err(format!(
                    "this is not the URL of a mail server; {}",
                    Self::RIGHT
                )),
            },
            _ => Err(format!("e-mails do not leave this way; {}", Self::RIGHT)),
        }
    }

    /// Opens the mailbox, or prepares the connections to the mail server.
    pub async fn open(&self) -> anyhow::Result<Transport> {
        Transport::open(self).await
    }
}

impl<'de> Deserialize<'de> for TransportUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let url = String::deserialize(deserializer)?;
        Self::parse(&url).map_err(D::Error::custom)
    }
}

/// Who writes to the customers.
#[derive(Clone, PartialEq, Eq)]
pub struct Sender(Address);

impl Sender {
    /// Reads `Name <address>`.
    pub fn parse(text: &str) -> Result<Self, String> {
        Address::from_str(text).map(Self).map_err(|error| {
            format!("`{text}` is not a mail address ({error}); right would be Loja <pedidos@loja.example>")
        })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.0
    }

    /// The right side of the address.
    pub(crate) fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

impl Default for Sender {
    fn default() -> Self {
        let email = lettre::Address::new("pedidos", "loja.example");
        Self(Address::new(
            Some("Loja".to_owned()),
            email.expect("a valid address, see the test"),
        ))
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sender({})", self.0)
    }
}

impl<'de> Deserialize<'de> for Sender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use commerce_host::settings::Configuration;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut configuration = Configuration::read(None, variables);
        let config = configuration.section::<Config>("notifications");
        configuration
            .finish()
            .map_err(|mistakes| mistakes.to_string())?;
        config.map_err(|refused| refused.to_string())
    }

    #[test]
    fn nothing_set_means_a_mailbox_beside_the_data() {
        let config = read(&[]).unwrap();
        assert_eq!(
            config.transport(Path::new("d")),
            TransportUrl::Mailbox(PathBuf::from("d/mailbox.mbox"))
        );
        assert_eq!(config.from.domain(), "loja.example");
    }

    #[test]
    fn each_way_of_smtp_is_known() {
        for url in [
            "smtp://localhost:25",
            "smtp://user:password@mail.example?tls=required",
            "smtp://user:password@mail.example:587?tls=opportunistic",
            "smtps://user:password@mail.example",
        ] {
            assert_eq!(
                TransportUrl::parse(url).unwrap(),
                TransportUrl::Smtp(ConnectionUrl::new(url))
            );
        }
    }

    #[test]
    fn mistakes_say_what_would_be_right_and_no_password() {
        let text = read(&[
            (
                "COMMERCE_NOTIFICATIONS_TRANSPORT",
                "smtp://user:hunter2@mail.example?tls=perhaps",
            ),
            ("COMMERCE_NOTIFICATIONS_FROM", "nobody"),
        ])
        .unwrap_err();
        assert!(
            text.contains(
                "notifications.transport: this is not the URL of a mail server; right would be"
            ),
            "{text}"
        );
        assert!(
            text.contains("notifications.from: `nobody` is not a mail address"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
        assert!(TransportUrl::parse("imap://x").is_err());
        assert!(TransportUrl::parse("mailbox:").is_err());
    }
}
