//! Exchanges and queues.

use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind, Queue};

use super::config::Config;
use super::delay;
use super::headers::long;
use super::unavailable;
use crate::derived::{dead_letters_of, qualified};
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Order;

/// What AMQP takes as a queue's name.
const LONGEST: usize = 255;

/// Far beyond what anybody looks at dead letters: each look counts as a delivery.
const NEVER: u32 = 1_000_000;

/// The exchange type of the plugin `rabbitmq_consistent_hash_exchange`.
const CONSISTENT_HASH: &str = "x-consistent-hash";

/// The header with the ordering key, as every publish of ours has it.
const KEY_HEADER: &str = "cloudEvents:partitionkey";

/// The exchange and the queues of one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queues {
    /// Where the subscription's messages arrive, and are put again: an exchange before its queues.
    pub(super) entry: ShortString,
    pub(super) dead: ShortString,
    /// Holds no message; its consumers are the members.
    pub(super) members: ShortString,
    main: String,
}

impl Queues {
    pub(super) fn of(
        operation: &'static str,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<Self, Error> {
        let main = qualified(topic, name);
        let short = |derived: String| {
            ShortString::try_new(derived).map_err(|_| {
                let problem = format!(
                    "the queues of {name} on {topic} would have names of more than {LONGEST} bytes"
                );
                Error::new(ErrorKind::Config, operation, problem)
            })
        };
        Ok(Self {
            // No name of ours holds a colon.
            entry: short(format!("{main}:in"))?,
            dead: short(dead_letters_of(&main))?,
            members: short(format!("{main}:members"))?,
            main,
        })
    }

    /// The one queue of a subscription that has only one.
    pub(super) fn single(&self) -> ShortString {
        // Shorter than that of the members.
        ShortString::from(self.main.as_str())
    }

    /// One of several queues.
    pub(super) fn partition(&self, number: u16) -> ShortString {
        // At most two digits: shorter than that of the members.
        ShortString::from(format!("{}:{number}", self.main))
    }

    /// All queues of a subscription that has this many.
    pub(super) fn all(&self, partitions: u16) -> Vec<ShortString> {
        if partitions == 1 {
            return vec![self.single()];
        }
        (0..partitions)
            .map(|number| self.partition(number))
            .collect()
    }
}

/// What makes the topology of a subscription.
pub(super) struct Plan<'a> {
    pub(super) config: &'a Config,
    pub(super) topic: &'a TopicName,
    pub(super) queues: &'a Queues,
    pub(super) order: Order,
    pub(super) partitions: u16,
}

impl Plan<'_> {
    /// Everything that a subscription needs. What exists already must be as this would make it.
    pub(super) async fn declare(&self, channel: &Channel) -> Result<(), Error> {
        let failed = |what: &ShortString, error| self.refused(what.as_str(), error);
        declare_exchange(channel, self.topic)
            .await
            .map_err(|error| self.refused(self.topic.as_str(), error))?;
        declare_dead(channel, self.queues)
            .await
            .map_err(|error| failed(&self.queues.dead, error))?;
        self.declare_entry(channel).await?;
        let mut queues = self.queues.all(self.partitions);
        // In the order in which the exchange most often puts them on its ring when its broker starts again: in another one,
        // keys would move between the queues then. Not always: see what the page says it cannot do.
        queues.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        for queue in queues {
            channel
                .queue_declare(
                    queue.clone(),
                    QueueDeclareOptions::durable(),
                    self.arguments(),
                )
                .await
                .map_err(|error| failed(&queue, error))?;
            // To the hash a number, its share of the keys; to a fanout nothing.
            bind(channel, &queue, &self.queues.entry, "1")
                .await
                .map_err(|error| failed(&queue, error))?;
            if self.order == Order::Unordered {
                delay::bind_queue(channel, &queue)
                    .await
                    .map_err(|error| failed(&queue, error))?;
            }
        }
        // Last: before its queues are there, the entry would lose what it is given.
        channel
            .exchange_bind(
                self.queues.entry.clone(),
                exchange(self.topic),
                ShortString::from("#"),
                ExchangeBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .map_err(|error| failed(&self.queues.entry, error))
    }

    /// The exchange before the queues. Its type and arguments say how many there are, so that the broker itself refuses
    /// a member that would spread the keys differently.
    pub(super) async fn declare_entry(&self, channel: &Channel) -> Result<(), Error> {
        let (kind, arguments) = if self.is_partitioned() {
            let marker = format!("commerce-partitions-{}", self.partitions);
            let arguments = table([
                ("hash-header", long(KEY_HEADER)),
                // Of the arguments of an exchange the broker compares this one only. There is no exchange of that name.
                ("alternate-exchange", long(marker)),
            ]);
            (ExchangeKind::Custom(CONSISTENT_HASH.to_owned()), arguments)
        } else {
            (ExchangeKind::Fanout, FieldTable::default())
        };
        channel
            .exchange_declare(
                self.queues.entry.clone(),
                kind,
                durable_exchange(),
                arguments,
            )
            .await
            .map_err(|error| self.refused(self.queues.entry.as_str(), error))
    }

    /// Whether it needs the plugin.
    pub(super) fn is_partitioned(&self) -> bool {
        self.partitions > 1
    }

    fn arguments(&self) -> FieldTable {
        table([
            ("x-queue-type", long("quorum")),
            (
                "x-single-active-consumer",
                AMQPValue::Boolean(self.order == Order::PerKey),
            ),
            ("x-delivery-limit", number(self.config.delivery_limit)),
            // What reaches the delivery limit is kept: published, confirmed, and only then taken from this queue.
            ("x-dead-letter-exchange", long("")),
            ("x-dead-letter-routing-key", long(self.queues.dead.as_str())),
            ("x-dead-letter-strategy", long("at-least-once")),
            ("x-overflow", long("reject-publish")),
        ])
    }

    fn refused(&self, what: &str, error: lapin::Error) -> Error {
        let problem = if is_soft(&error, &AMQPSoftError::PRECONDITIONFAILED) {
            format!(
                "{what:?} exists on RabbitMQ and is made differently: members of a subscription share one order, one \
                 number of partitions (here {}) and one delivery_limit. Say in the URL what it was made with; or, to \
                 change it, end its members, and when its queues are empty delete them and the exchange {:?}: {error}",
                self.partitions, self.queues.entry
            )
        } else if is_soft(&error, &AMQPSoftError::ACCESSREFUSED) {
            format!("the RabbitMQ user may not make {what:?}: {error}")
        } else if is_unknown_type(&error) {
            format!(
                "an ordered subscription over {} queues needs a plugin that comes with RabbitMQ and is not enabled. Run \
                 `rabbitmq-plugins enable rabbitmq_consistent_hash_exchange` on every node, or say partitions=1 in the \
                 URL: {error}",
                self.partitions
            )
        } else {
            let problem = "the subscription could not be made on RabbitMQ";
            return unavailable("subscribe", problem, error);
        };
        Error::new(ErrorKind::Config, "subscribe", problem).with_source(error)
    }
}

/// The exchange of a topic. Names are at most 200 bytes.
pub(super) fn exchange(topic: &TopicName) -> ShortString {
    ShortString::from(topic.as_str())
}

pub(super) async fn declare_exchange(channel: &Channel, topic: &TopicName) -> lapin::Result<()> {
    channel
        .exchange_declare(
            exchange(topic),
            ExchangeKind::Topic,
            durable_exchange(),
            FieldTable::default(),
        )
        .await
}

/// The queue of dead letters.
pub(super) async fn declare_dead(channel: &Channel, queues: &Queues) -> lapin::Result<()> {
    let arguments = table([
        ("x-queue-type", long("quorum")),
        ("x-delivery-limit", number(NEVER)),
    ]);
    channel
        .queue_declare(
            queues.dead.clone(),
            QueueDeclareOptions::durable(),
            arguments,
        )
        .await
        .map(drop)
}

pub(super) async fn bind(
    channel: &Channel,
    queue: &ShortString,
    exchange: &ShortString,
    routing_key: &str,
) -> lapin::Result<()> {
    channel
        .queue_bind(
            queue.clone(),
            exchange.clone(),
            ShortString::from(routing_key),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

/// A queue as the broker counts it; `None` when there is no such queue, and the channel is closed then.
pub(super) async fn look(channel: &Channel, queue: &ShortString) -> lapin::Result<Option<Queue>> {
    let look = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    match channel
        .queue_declare(queue.clone(), look, FieldTable::default())
        .await
    {
        Ok(queue) => Ok(Some(queue)),
        Err(error) if is_soft(&error, &AMQPSoftError::NOTFOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many messages of a queue wait for a consumer; `None` when there is no such queue, and the channel is closed then.
pub(super) async fn ready(channel: &Channel, queue: &ShortString) -> lapin::Result<Option<u32>> {
    let queue = look(channel, queue).await?;
    Ok(queue.map(|queue| queue.message_count()))
}

pub(super) fn is_soft(error: &lapin::Error, code: &AMQPSoftError) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error)
        if matches!(error.kind(), AMQPErrorKind::Soft(found) if found == code))
}

fn is_unknown_type(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error)
        if matches!(error.kind(), AMQPErrorKind::Hard(AMQPHardError::COMMANDINVALID)))
}

pub(super) fn durable_exchange() -> ExchangeDeclareOptions {
    ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    }
}

pub(super) fn table<const N: usize>(arguments: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(ShortString::from(name), value);
    }
    table
}

pub(super) fn number(number: u32) -> AMQPValue {
    AMQPValue::LongLongInt(i64::from(number))
}
