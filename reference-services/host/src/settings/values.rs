//! Types of settings, each able to say what it wants.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};
use url::{Host, Url};

/// A URL of a broker or a database. It may carry a password, so it is shown without.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionUrl(String);

impl ConnectionUrl {
    /// Wraps a URL such as `sqlite:data/bus.db` or `amqp://user:password@host/vhost`.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL with its password, for the one who connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is before the colon.
    pub fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

impl fmt::Display for ConnectionUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return formatter.write_str(&self.0);
        };
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A password may hold what should have been escaped: everything up to the last @ goes.
        match rest
            .rfind('@')
            .filter(|at| *at < authority_end || !rest[..*at].contains('?'))
            .or_else(|| rest[..authority_end].rfind('@'))
        {
            Some(at) => write!(formatter, "{scheme}://***@{}", &rest[at + 1..]),
            None => formatter.write_str(&self.0),
        }
    }
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ConnectionUrl({self})")
    }
}

impl<'de> Deserialize<'de> for ConnectionUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// For `#[serde(deserialize_with = "commerce_host::settings::duration")]`: `250ms`, `10s`, `5m`, `1h`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    const RIGHT: &str = "a number with its unit, such as 250ms, 10s, 5m or 1h";
    let text = String::deserialize(deserializer).map_err(|_| {
        D::Error::custom(format!("a duration needs its unit; right would be {RIGHT}"))
    })?;
    parse_duration(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is not a duration; right would be {RIGHT}"
        ))
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        _ => None,
    }
}

/// For `deserialize_with`: a secret, which no error message and no `Debug` shows.
pub fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<secrecy::SecretString, D::Error> {
    let text = String::deserialize(deserializer).map_err(|_| {
        D::Error::custom("a secret must be a text; right would be a text in quotes")
    })?;
    Ok(text.into())
}

/// For `deserialize_with`: a web address, `http://` or `https://`.
pub fn web_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_web_url(&text).map_err(D::Error::custom)
}

/// For `deserialize_with` together with `default`: a web address, or none.
pub fn optional_web_url<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Url>, D::Error> {
    web_url(deserializer).map(Some)
}

/// Whether what is at this address is on this machine.
pub fn is_local_url(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn parse_web_url(text: &str) -> Result<Url, String> {
    const RIGHT: &str = "right would be an address such as http://127.0.0.1:8080";
    let url = Url::from_str(text).map_err(|error| format!("not a URL ({error}); {RIGHT}"))?;
    match url.scheme() {
        "http" | "https" if url.username().is_empty() && url.password().is_none() => Ok(url),
        "http" | "https" => Err(format!("no user name or password may stand in it; {RIGHT}")),
        scheme => Err(format!("`{scheme}:` is not a web address; {RIGHT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_url_never_shows_its_password() {
        for (url, shown) in [
            (
                "amqp://user:s3cret@broker:5672/%2f",
                "amqp://***@broker:5672/%2f",
            ),
            (
                "postgres://user:p/a@ss@db/name?sslmode=require",
                "postgres://***@db/name?sslmode=require",
            ),
            ("sqlite:data/bus.db", "sqlite:data/bus.db"),
            ("memory:", "memory:"),
            ("kafka://one:9092,two:9092", "kafka://one:9092,two:9092"),
            (
                "sqs://key:s3cret@eu-central-1?note=a@b",
                "sqs://***@eu-central-1?note=a@b",
            ),
        ] {
            assert_eq!(ConnectionUrl::new(url).to_string(), shown);
        }
    }

    #[test]
    fn local_is_what_no_other_machine_can_be() {
        for (url, local) in [
            ("http://127.0.0.1:8080", true),
            ("http://127.8.9.1", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8080/x", true),
            ("http://0.0.0.0:8080", false),
            ("http://10.0.0.1", false),
            ("https://127.0.0.1.example", false),
            ("https://pay.example", false),
        ] {
            assert_eq!(is_local_url(&url.parse().unwrap()), local, "{url}");
        }
    }

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(parse_duration("5m"), Some(Duration::from_mins(5)));
        for wrong in [
            "10",
            "s",
            "-1s",
            "1d",
            "1.5s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
