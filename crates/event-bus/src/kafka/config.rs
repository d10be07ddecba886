//! `kafka://HOST:PORT[,HOST:PORT][?setting=value&…]`.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;

use super::context::{Context, Link};
use super::security::Security;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::settings::Settings;

const DEFAULT_PORT: u16 = 9092;

/// What a record and its batch add to a message: with it the default is just below what brokers take by default.
const ROOM: usize = 48_000;

/// What the client takes at most; below what it can count.
const LARGEST_RECORD: usize = 512 * 1024 * 1024;

/// The client's own bound of a batch of several records.
const LARGEST_BATCH: usize = 1_000_000;

/// Where the brokers are, and how this process uses them.
#[derive(Clone, Debug)]
pub(super) struct Config {
    bootstrap: String,
    client_id: String,
    /// What names this process to its groups, so that a short absence moves nothing.
    pub(super) instance: Option<String>,
    protocol: Protocol,
    /// Partitions of a topic made here; -1 leaves it to the broker.
    pub(super) partitions: i32,
    /// Replicas of a topic made here; -1 leaves it to the broker.
    pub(super) replication: i32,
    /// How long a publish waits for the brokers before it fails.
    pub(super) publish_timeout: Duration,
    /// How long every other request may take.
    pub(super) request_timeout: Duration,
    /// How long a revoked partition waits for its deliveries in flight.
    pub(super) drain: Duration,
    /// How often positions are committed while they move.
    pub(super) commit_interval: Duration,
    /// Records fetched ahead and held in lanes, so that a key that waits does not hold up the others.
    pub(super) lookahead: usize,
    /// The heaviest message that is published, in bytes.
    pub(super) max_message: usize,
    /// How long the text beside a committed offset may be.
    pub(super) commit_metadata: usize,
    linger: Duration,
    security: Security,
    /// Where clients get their tokens.
    pub(super) link: Link,
    /// What says when a message for later is due.
    pub(super) clock: Clock,
}

impl Config {
    /// From a URL without its scheme.
    pub(super) fn parse(rest: &str, has_tokens: bool) -> Result<Self, Error> {
        let (place, mut settings) = Settings::split("kafka", rest);
        let (user_info, hosts) = split_user(place);
        let bootstrap = bootstrap(hosts)?;
        let security = Security::parse(user_info, &mut settings, has_tokens)?;
        let config = Self {
            bootstrap,
            client_id: settings.take(
                "client_id",
                "commerce-event-bus".to_owned(),
                "a name",
                name,
            )?,
            instance: settings.take("instance", None, "a name", |text| name(text).map(Some))?,
            protocol: settings.take(
                "protocol",
                Protocol::Classic,
                "classic or consumer",
                Protocol::of,
            )?,
            partitions: settings.take(
                "partitions",
                6,
                "a number from 1, or -1 for the broker's own",
                count,
            )?,
            replication: settings.take(
                "replication",
                -1,
                "a number from 1, or -1 for the broker's own",
                count,
            )?,
            publish_timeout: settings.duration("publish_timeout", Duration::from_secs(30))?,
            request_timeout: settings.duration("request_timeout", Duration::from_secs(30))?,
            drain: settings.duration("drain", Duration::from_secs(10))?,
            commit_interval: settings.duration("commit_interval", Duration::from_millis(500))?,
            lookahead: settings.number("lookahead", 1000_usize)?.max(1),
            max_message: settings.number("max_message", 1_000_000_usize)?,
            commit_metadata: settings.number("commit_metadata", 4096_usize)?,
            linger: settings.duration("linger", Duration::from_millis(2))?,
            security,
            link: Link::default(),
            clock: Clock::new(),
        };
        settings.finish()?;
        Ok(config)
    }

    /// What a record of ours may weigh, with all that is added to a message.
    pub(super) fn room(&self) -> usize {
        self.max_message.saturating_add(ROOM)
    }

    /// What a new topic of dead letters takes. Others may write larger messages than this bus does, as far as the brokers'
    /// defaults let them.
    pub(super) fn largest_letter(&self) -> usize {
        self.room().saturating_mul(2).min(LARGEST_RECORD)
    }

    /// What every client of ours begins with.
    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", &self.client_id)
            // A broker that comes back is found again within seconds.
            .set("reconnect.backoff.max.ms", "2000")
            .set_log_level(RDKafkaLogLevel::Warning);
        self.security.apply(&mut client);
        client
    }

    /// A client that is polled by nobody: what it needs before it can connect, it gets here.
    pub(super) fn consumer(&self, client: &ClientConfig) -> KafkaResult<BaseConsumer<Context>> {
        const AT_MOST: u32 = 50;
        let consumer: BaseConsumer<Context> =
            client.create_with_context(Context::new(&self.link))?;
        for _ in 0..AT_MOST {
            if consumer.context().is_ready() {
                break;
            }
            drop(consumer.poll(Duration::from_millis(20)));
        }
        Ok(consumer)
    }

    pub(super) fn admin(&self) -> ClientConfig {
        self.client()
    }

    /// Reads metadata and watermarks. A consumer, because a producer's questions may create the topics they ask for.
    pub(super) fn inspector(&self) -> ClientConfig {
        self.client()
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut client = self.client();
        client
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // The same key lands on the same partition as from a Java client.
            .set("partitioner", "murmur2_random")
            .set("linger.ms", self.linger.as_millis().to_string())
            .set("queue.buffering.max.kbytes", "131072")
            // What may be published is looked at before. A record that others wrote may be larger, and has to go to the dead
            // letters; what the topic takes is the brokers' to say.
            .set("message.max.bytes", LARGEST_RECORD.to_string())
            .set("batch.size", self.room().min(LARGEST_BATCH).to_string())
            .set(
                "message.timeout.ms",
                self.publish_timeout.as_millis().max(1).to_string(),
            );
        client
    }

    /// A member of a group, or who asks for the group's offsets.
    pub(super) fn group(&self, group: &str) -> ClientConfig {
        let mut client = self.client();
        client
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Positions are pinned when the subscription is made; this is for partitions added later.
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("allow.auto.create.topics", "false");
        client
    }

    pub(super) fn member(
        &self,
        group: &str,
        instance: Option<&str>,
        lease: Duration,
        max_bytes: usize,
    ) -> ClientConfig {
        // What the client itself reads ahead comes on top of what the lanes hold.
        let ahead = (max_bytes / 1024).clamp(64, 16 * 1024);
        let mut client = self.group(group);
        client
            .set("queued.min.messages", self.lookahead.to_string())
            .set("queued.max.messages.kbytes", ahead.to_string());
        if let Some(instance) = instance {
            client.set("group.instance.id", instance);
        }
        match self.protocol {
            Protocol::Classic => {
                // What brokers accept unless told otherwise (group.min and group.max.session.timeout.ms).
                let session = lease.clamp(Duration::from_secs(6), Duration::from_mins(30));
                let heartbeat = (session / 4).min(Duration::from_secs(3));
                client
                    .set("partition.assignment.strategy", "cooperative-sticky")
                    .set("session.timeout.ms", session.as_millis().to_string())
                    .set("heartbeat.interval.ms", heartbeat.as_millis().to_string());
            }
            // Sessions and assignment are the broker's.
            Protocol::Consumer => {
                client.set("group.protocol", "consumer");
            }
        }
        client
    }

    /// A member of the group that works off what is delayed. Always of the classic protocol, whatever subscriptions use:
    /// all processes of the cluster must agree.
    pub(super) fn scheduler(&self, group: &str) -> ClientConfig {
        let mut client = self.group(group);
        client
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "1000")
            .set("queued.min.messages", "100")
            .set("queued.max.messages.kbytes", "2048");
        client
    }

    /// Reads a topic from end to end without being a member of anything.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut client = self.group(&format!("{}.reader", self.client_id));
        client.set("enable.partition.eof", "true");
        client
    }
}

/// How members of a group agree.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    /// Among themselves, one of them leading; every broker knows it.
    Classic,
    /// By the broker (KIP-848): from Kafka 4.0.
    Consumer,
}

impl Protocol {
    fn of(text: &str) -> Option<Self> {
        match text {
            "classic" => Some(Self::Classic),
            "consumer" => Some(Self::Consumer),
            _ => None,
        }
    }
}

/// What precedes the last `@`, and the hosts after it.
fn split_user(place: &str) -> (Option<&str>, &str) {
    let place = place.strip_prefix("//").unwrap_or_default();
    match place.rsplit_once('@') {
        Some((user_info, hosts)) => (Some(user_info), hosts),
        None => (None, place),
    }
}

fn bootstrap(hosts: &str) -> Result<String, Error> {
    let hosts = hosts.trim_end_matches('/');
    let mut servers = Vec::new();
    for host in hosts.split(',') {
        if host.is_empty() || host.contains('/') {
            return Err(config(
                "kafka: write kafka://HOST:PORT, several brokers with commas between",
            ));
        }
        // An IPv6 address without a port ends with its bracket.
        let port = host
            .rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'));
        match port {
            None => servers.push(format!("{host}:{DEFAULT_PORT}")),
            Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => {
                servers.push(host.to_owned());
            }
            // Not shown: a password with a ? in it looks like a host.
            Some(_) => {
                return Err(config(
                    "kafka: a broker is not HOST:PORT; in a password write ? as %3f, @ as %40, / as %2f",
                ));
            }
        }
    }
    Ok(servers.join(","))
}

fn name(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn count(text: &str) -> Option<i32> {
    text.parse().ok().filter(|count| *count == -1 || *count > 0)
}

fn config(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, "connect", problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_settings() {
        let config = Config::parse(
            "//one:9093,two,[::1],[::1]:9094?partitions=12&drain=2s",
            false,
        )
        .unwrap();
        assert_eq!(config.bootstrap, "one:9093,two:9092,[::1]:9092,[::1]:9094");
        assert_eq!((config.partitions, config.replication), (12, -1));
        assert_eq!(config.drain, Duration::from_secs(2));
        assert_eq!(config.producer().get("enable.idempotence"), Some("true"));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("", "write kafka://HOST:PORT"),
            ("//", "write kafka://HOST:PORT"),
            ("//one,,two", "write kafka://HOST:PORT"),
            ("//one/topic", "write kafka://HOST:PORT"),
            ("//one:port", "not HOST:PORT"),
            ("//me:secret@one:9092", "sasl="),
            ("//me:secret@one:port?sasl=plain", "not HOST:PORT"),
            ("//one?partitions=0", "partitions"),
            ("//one?partition=3", "partitions"),
            ("//one?protocol=new", "classic or consumer"),
        ];
        for (url, expected) in cases {
            let error = Config::parse(url, false).unwrap_err().to_string();
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_lease_becomes_a_session_that_brokers_accept() {
        let config = Config::parse("//one", false).unwrap();
        let session = |lease| {
            config
                .member("g", None, lease, usize::MAX)
                .get("session.timeout.ms")
                .map(str::to_owned)
        };
        assert_eq!(session(Duration::from_millis(100)).as_deref(), Some("6000"));
        assert_eq!(session(Duration::from_secs(30)).as_deref(), Some("30000"));
        assert_eq!(session(Duration::from_hours(2)).as_deref(), Some("1800000"));
    }

    #[test]
    fn the_new_protocol_leaves_sessions_to_the_broker() {
        let config = Config::parse("//one?protocol=consumer&instance=pod-3", false).unwrap();
        let member = config.member("g", Some("pod-3"), Duration::from_secs(30), 1_000_000);
        assert_eq!(member.get("group.protocol"), Some("consumer"));
        assert_eq!(member.get("group.instance.id"), Some("pod-3"));
        assert_eq!(member.get("session.timeout.ms"), None);
        assert_eq!(member.get("partition.assignment.strategy"), None);
        assert_eq!(member.get("queued.max.messages.kbytes"), Some("976"));
    }
}
