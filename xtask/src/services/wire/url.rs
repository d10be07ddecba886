//! The addresses of servers, as people write them in `KAFKA_URL` and its like.

use anyhow::{Context as _, Result, bail};

/// `scheme://user:password@host:port[,host:port…]/path?query`, decoded.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) hosts: Vec<(String, u16)>,
    /// Without the leading slash.
    pub(crate) path: String,
}

impl Url {
    /// Reads an address whose hosts may leave out the port.
    pub(crate) fn parse(text: &str, default_port: u16) -> Result<Self> {
        let (scheme, rest) = text
            .split_once("://")
            .context("it does not start with a scheme and ://")?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (user, password) =
            match credentials.map(|pair| pair.split_once(':').unwrap_or((pair, ""))) {
                Some((user, "")) => (Some(decode(user)?), None),
                Some((user, password)) => (Some(decode(user)?), Some(decode(password)?)),
                None => (None, None),
            };
        let hosts: Vec<_> = hosts
            .split(',')
            .map(|host| host_and_port(host, default_port))
            .collect::<Result<_>>()?;
        Ok(Self {
            scheme: scheme.to_owned(),
            user,
            password,
            hosts,
            path: decode(path)?,
        })
    }

    /// The first host.
    pub(crate) fn host(&self) -> (&str, u16) {
        // `split` yields at least one piece, so there is always one host.
        self.hosts
            .first()
            .map_or(("", 0), |(host, port)| (host.as_str(), *port))
    }

    /// Refuses schemes whose servers this program cannot speak to, TLS above all.
    pub(crate) fn require_scheme(&self, allowed: &[&str]) -> Result<()> {
        if allowed.contains(&self.scheme.as_str()) {
            return Ok(());
        }
        bail!(
            "its scheme is {:?}; this command can verify {}",
            self.scheme,
            allowed.join(" or ")
        )
    }
}

/// The password stays out of logs.
impl std::fmt::Debug for Url {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{}://{:?}/{}",
            self.scheme, self.hosts, self.path
        )
    }
}

/// The address with its password struck out, for people's eyes.
pub(crate) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    match authority
        .rsplit_once('@')
        .and_then(|(credentials, hosts)| Some((credentials.split_once(':')?.0, hosts)))
    {
        Some((user, hosts)) => format!("{scheme}://{user}:…@{hosts}{tail}"),
        None => text.to_owned(),
    }
}

/// The same server, another database or virtual host.
pub(crate) fn with_path(text: &str, path: &str) -> Result<String> {
    let authority = text
        .find("://")
        .context("it does not start with a scheme and ://")?
        + 3;
    let end = text[authority..]
        .find(['?', '#'])
        .map_or(text.len(), |end| authority + end);
    let start = text[authority..end]
        .find('/')
        .map_or(end, |start| authority + start);
    Ok(format!("{}/{path}{}", &text[..start], &text[end..]))
}

fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        // The last colon of a bare IPv6 address in brackets is inside them.
        Some((host, port)) if !port.ends_with(']') => (
            host,
            port.parse()
                .with_context(|| format!("{port:?} is not a port"))?,
        ),
        _ => (text, default_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        bail!("it names no host");
    }
    Ok((host.to_owned(), port))
}

fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: Vec<u8> = rest.by_ref().take(2).collect();
            let value = std::str::from_utf8(&digits)
                .ok()
                .filter(|digits| digits.len() == 2);
            let value = value.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(value.with_context(|| {
                format!("{text:?} has a % that is followed by no two hex digits")
            })?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).with_context(|| format!("{text:?} does not decode to UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_read() {
        let url = Url::parse("amqp://guest:p%40ss@127.0.0.1:5673/%2f?heartbeat=5", 5672).unwrap();
        assert_eq!(url.scheme, "amqp");
        assert_eq!(url.user.as_deref(), Some("guest"));
        assert_eq!(url.password.as_deref(), Some("p@ss"));
        assert_eq!(url.host(), ("127.0.0.1", 5673));
        assert_eq!(url.path, "/");
        assert!(!format!("{url:?}").contains("p@ss"));
    }

    #[test]
    fn several_hosts_and_default_ports() {
        let url = Url::parse("kafka://a,b:9093,[::1]:9094,[::1]", 9092).unwrap();
        let hosts: Vec<_> = url
            .hosts
            .iter()
            .map(|(host, port)| (host.as_str(), *port))
            .collect();
        assert_eq!(
            hosts,
            [("a", 9092), ("b", 9093), ("::1", 9094), ("::1", 9092)]
        );
        assert_eq!(url.user, None);
    }

    #[test]
    fn mistakes_are_told() {
        for (text, expected) in [
            ("localhost:9092", "scheme"),
            ("kafka://", "no host"),
            ("kafka://a:port", "\"port\" is not a port"),
            ("redis://u:%zz@a", "hex digits"),
        ] {
            let error = Url::parse(text, 1).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_path_can_be_exchanged() {
        for (text, expected) in [
            (
                "postgres://u@h:5/commerce?sslmode=disable",
                "postgres://u@h:5/demo?sslmode=disable",
            ),
            ("amqp://guest:guest@h:5/%2f", "amqp://guest:guest@h:5/demo"),
            ("amqp://h", "amqp://h/demo"),
            ("amqp://h?heartbeat=5", "amqp://h/demo?heartbeat=5"),
        ] {
            assert_eq!(with_path(text, "demo").unwrap(), expected);
        }
        assert!(with_path("h/a", "demo").is_err());
    }

    #[test]
    fn passwords_are_struck_out() {
        assert_eq!(
            without_password("amqp://guest:guest@h:1/%2f"),
            "amqp://guest:…@h:1/%2f"
        );
        assert_eq!(
            without_password("postgres://postgres@h:1/commerce"),
            "postgres://postgres@h:1/commerce"
        );
        assert_eq!(without_password("http://h/a@b:c"), "http://h/a@b:c");
    }
}
