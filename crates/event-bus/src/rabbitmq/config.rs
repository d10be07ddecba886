//! `amqp://USER:PASSWORD@HOST:PORT/VHOST[?setting=value&…]`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use lapin::uri::AMQPUri;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::name::TopicName;
use crate::settings::Settings;
use crate::subscription::Order;

/// More would be more queues than cores and nodes have use for.
const MOST_PARTITIONS: u16 = 64;

/// Quorum queues take no larger prefetch.
const LARGEST_PREFETCH: u16 = 2000;

/// Where the broker is, and how this process uses it.
#[derive(Clone)]
pub(super) struct Config {
    /// With the password.
    pub(super) uri: AMQPUri,
    /// How long one attempt to connect, or a request other than a publish, may take.
    pub(super) request_timeout: Duration,
    /// How long a publish waits for the broker before it fails.
    pub(super) publish_timeout: Duration,
    /// What operators see connections under.
    pub(super) name: String,
    /// The certificates, in PEM, of who signed the broker's, beside those that the system trusts.
    pub(super) authorities: Option<String>,
    /// What one message may weigh, in bytes.
    pub(super) max_message: usize,
    /// Messages of an ordered subscription fetched ahead and held in lanes.
    lookahead: u16,
    /// Queues of an ordered subscription.
    partitions: u16,
    /// How often the broker delivers a message, whatever comes of it, before it goes to the dead letters.
    pub(super) delivery_limit: u32,
    /// Topics that nobody needs to read.
    pub(super) unrouted_ok: BTreeSet<TopicName>,
    /// What says for how long a message for later has to wait.
    pub(super) clock: Clock,
}

impl Config {
    /// From a URL, taken apart at the first colon.
    pub(super) fn parse(scheme: &str, rest: &str) -> Result<Self, Error> {
        let (place, mut settings) = Settings::split("rabbitmq", rest);
        let mut uri = uri(scheme, place)?;
        let request_timeout = settings.duration("request_timeout", Duration::from_secs(10))?;
        let heartbeat = settings.take(
            "heartbeat",
            15,
            "a number of seconds from 1 on (without heartbeats nobody notices a broker that is silent, and who waits for \
             its answer waits for ever)",
            |text| text.parse().ok().filter(|seconds| *seconds > 0),
        )?;
        uri.query.heartbeat = Some(heartbeat);
        uri.query.connection_timeout = u64::try_from(request_timeout.as_millis()).ok();
        let config = Self {
            uri,
            request_timeout,
            publish_timeout: settings.duration("publish_timeout", Duration::from_secs(30))?,
            name: settings.take(
                "connection_name",
                "commerce-event-bus".to_owned(),
                "a name",
                |name| Some(name.to_owned()).filter(|name| !name.is_empty()),
            )?,
            authorities: settings
                .take("tls_ca", None, "a path", |path| Some(Some(path.to_owned())))?
                .map(|path| authorities(&path))
                .transpose()?,
            max_message: settings.number("max_message", 16 * 1024 * 1024)?,
            lookahead: settings.take("lookahead", 1000, "a number from 1 to 2000", |text| {
                within(text, LARGEST_PREFETCH)
            })?,
            partitions: settings.take("partitions", 4, "a number from 1 to 64", |text| {
                within(text, MOST_PARTITIONS)
            })?,
            delivery_limit: settings.number("delivery_limit", 100_u32)?,
            clock: Clock::new(),
            unrouted_ok: settings.take(
                "unrouted_ok",
                BTreeSet::new(),
                "topic names with commas between",
                topics,
            )?,
        };
        settings.finish()?;
        Ok(config)
    }

    /// How many queues a subscription has.
    pub(super) fn partitions(&self, order: Order) -> u16 {
        match order {
            Order::PerKey => self.partitions,
            Order::Unordered => 1,
        }
    }

    /// How many messages the broker sends ahead of their settlement, from all queues together. A key that waits must not
    /// hold up the others of an ordered subscription; an unordered one leaves to other members what it cannot hand out.
    pub(super) fn lookahead(&self, order: Order, max_in_flight: usize) -> u16 {
        let in_flight = u16::try_from(max_in_flight)
            .unwrap_or(LARGEST_PREFETCH)
            .clamp(1, LARGEST_PREFETCH);
        match order {
            Order::PerKey => in_flight.max(self.lookahead),
            Order::Unordered => in_flight,
        }
    }
}

fn uri(scheme: &str, place: &str) -> Result<AMQPUri, Error> {
    // Never the text itself: it holds a password.
    let malformed = || {
        config("rabbitmq: write amqp://USER:PASSWORD@HOST:PORT/VHOST, with %2F for the vhost \"/\"")
    };
    if !place.starts_with("//") || place.len() == 2 {
        return Err(malformed());
    }
    if place.contains('[') {
        return Err(config(
            "rabbitmq: an IPv6 address in the URL is not understood by the client; use a host name",
        ));
    }
    let mut uri: AMQPUri = format!("{scheme}:{place}")
        .parse()
        .map_err(|_| malformed())?;
    // "amqp://host/" names the vhost "" by the letter, and no broker has one of that name.
    if uri.vhost.is_empty() {
        "/".clone_into(&mut uri.vhost);
    }
    Ok(uri)
}

fn within(text: &str, most: u16) -> Option<u16> {
    text.parse().ok().filter(|count| (1..=most).contains(count))
}

fn authorities(path: &str) -> Result<String, Error> {
    let problem = |what: &str| {
        config(&format!(
            "rabbitmq: tls_ca={path:?}, the certificates in PEM of who signed the broker's, {what}"
        ))
    };
    let pem = std::fs::read_to_string(path)
        .map_err(|error| problem("cannot be read").with_source(error))?;
    if pem.contains("-----BEGIN CERTIFICATE-----") {
        Ok(pem)
    } else {
        Err(problem("holds no certificate"))
    }
}

fn topics(text: &str) -> Option<BTreeSet<TopicName>> {
    text.split(',')
        .map(|name| TopicName::new(name.trim()).ok())
        .collect()
}

fn config(problem: &str) -> Error {
    Error::new(ErrorKind::Config, "connect", problem)
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("host", &self.uri.authority.host)
            .field("port", &self.uri.authority.port)
            .field("vhost", &self.uri.vhost)
            .field("name", &self.name)
            .field("request_timeout", &self.request_timeout)
            .field("publish_timeout", &self.publish_timeout)
            .field("authorities", &self.authorities.is_some())
            .field("max_message", &self.max_message)
            .field("lookahead", &self.lookahead)
            .field("partitions", &self.partitions)
            .field("delivery_limit", &self.delivery_limit)
            .field("unrouted_ok", &self.unrouted_ok)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_and_its_settings() {
        let config = Config::parse(
            "amqp",
            "//me:secret@127.0.0.1:5673/shop?heartbeat=1&lookahead=50&partitions=7&unrouted_ok=audit,metrics",
        )
        .unwrap();
        assert_eq!(
            (
                config.uri.authority.host.as_str(),
                config.uri.authority.port
            ),
            ("127.0.0.1", 5673)
        );
        assert_eq!(config.uri.vhost, "shop");
        assert_eq!(config.uri.query.heartbeat, Some(1));
        assert_eq!(config.unrouted_ok.len(), 2);
        assert_eq!(
            (
                config.lookahead(Order::PerKey, 10),
                config.lookahead(Order::PerKey, 64),
                config.lookahead(Order::Unordered, 10)
            ),
            (50, 64, 10)
        );
        assert_eq!(config.lookahead(Order::Unordered, usize::MAX), 2000);
        assert_eq!(
            (
                config.partitions(Order::PerKey),
                config.partitions(Order::Unordered)
            ),
            (7, 1)
        );
        assert!(!format!("{config:?}").contains("secret"));
        for root in ["//localhost", "//localhost/", "//localhost/%2F"] {
            assert_eq!(
                Config::parse("amqp", root).unwrap().uri.vhost,
                "/",
                "{root}"
            );
        }
    }

    #[test]
    fn mistakes_are_named_and_secrets_are_not() {
        let cases = [
            ("", "write amqp://"),
            ("//", "write amqp://"),
            ("//me:secret@host:port", "write amqp://"),
            ("//me:secret@[::1]:5672", "IPv6"),
            ("//me:secret@host?heartbeat=0", "from 1 on"),
            ("//me:secret@host?heartbeat=65536", "heartbeat"),
            ("//me:secret@host?lookahead=0", "lookahead"),
            ("//me:secret@host?partitions=65", "partitions"),
            ("//me:secret@host?tls_ca=/no/such/file", "cannot be read"),
            ("//me:secret@host?tls_ca=Cargo.toml", "no certificate"),
            ("//me:secret@host?unrouted_ok=A", "unrouted_ok"),
            ("//me:secret@host?prefetch=3", "prefetch"),
        ];
        for (rest, expected) in cases {
            let error = Config::parse("amqp", rest).unwrap_err();
            assert!(error.to_string().contains(expected), "{rest}: {error}");
            assert!(
                !format!("{error} {error:?}").contains("secret"),
                "{error:?}"
            );
        }
    }
}
