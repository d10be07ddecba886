//! Exchanges and queues.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{Channel, ExchangeKind};

use super::config::Config;
use super::unavailable;
use crate::derived::{dead_letters_of, qualified};
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Order;

/// What AMQP takes as a queue's name.
const LONGEST: usize = 255;

/// Far beyond what anybody looks at dead letters: each look counts as a delivery.
const NEVER: u32 = 1_000_000;

/// The queues of one subscription.
#[derive(Clone, Debug)]
pub(super) struct Queues {
    pub(super) main: ShortString,
    pub(super) dead: ShortString,
}

impl Queues {
    pub(super) fn of(
        operation: &'static str,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<Self, Error> {
        let main = qualified(topic, name);
        let dead = dead_letters_of(&main);
        let too_long = |_| {
            let problem = format!(
                "the queues of {name} on {topic} would have names of more than {LONGEST} bytes"
            );
            Error::new(ErrorKind::Config, operation, problem)
        };
        Ok(Self {
            main: ShortString::try_new(main).map_err(too_long)?,
            dead: ShortString::try_new(dead).map_err(too_long)?,
        })
    }
}

/// The exchange of a topic. Names are at most 200 bytes.
pub(super) fn exchange(topic: &TopicName) -> ShortString {
    ShortString::from(topic.as_str())
}

pub(super) async fn declare_exchange(channel: &Channel, topic: &TopicName) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            exchange(topic),
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        )
        .await
}

/// Everything that a subscription needs. What exists already must be as this would make it.
pub(super) async fn declare_subscription(
    channel: &Channel,
    config: &Config,
    topic: &TopicName,
    queues: &Queues,
    order: Order,
) -> Result<(), Error> {
    declare_exchange(channel, topic)
        .await
        .map_err(|error| declaration(topic.as_str(), error))?;
    declare_dead(channel, queues)
        .await
        .map_err(|error| declaration(queues.dead.as_str(), error))?;
    let arguments = arguments([
        ("x-queue-type", text("quorum")),
        (
            "x-single-active-consumer",
            AMQPValue::Boolean(order == Order::PerKey),
        ),
        ("x-delivery-limit", number(config.delivery_limit)),
        // What reaches the delivery limit is kept: published, confirmed, and only then taken from this queue.
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(queues.dead.as_str())),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]);
    let declared = channel
        .queue_declare(
            queues.main.clone(),
            QueueDeclareOptions::durable(),
            arguments,
        )
        .await;
    declared.map_err(|error| declaration(queues.main.as_str(), error))?;
    let (queue, all) = (queues.main.clone(), ShortString::from("#"));
    let bound = channel
        .queue_bind(
            queue,
            exchange(topic),
            all,
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await;
    bound.map_err(|error| declaration(queues.main.as_str(), error))
}

/// The queue of dead letters.
pub(super) async fn declare_dead(channel: &Channel, queues: &Queues) -> lapin::Result<()> {
    let arguments = arguments([
        ("x-queue-type", text("quorum")),
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

/// How many messages of a queue wait for a consumer; `None` when there is no such queue, and the channel is closed then.
pub(super) async fn ready(channel: &Channel, queue: &ShortString) -> lapin::Result<Option<u32>> {
    let look = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    match channel
        .queue_declare(queue.clone(), look, FieldTable::default())
        .await
    {
        Ok(queue) => Ok(Some(queue.message_count())),
        Err(error) if is_soft(&error, &AMQPSoftError::NOTFOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn is_soft(error: &lapin::Error, code: &AMQPSoftError) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error)
        if matches!(error.kind(), AMQPErrorKind::Soft(found) if found == code))
}

fn declaration(what: &str, error: lapin::Error) -> Error {
    if is_soft(&error, &AMQPSoftError::PRECONDITIONFAILED) {
        let problem = format!(
            "{what:?} exists on RabbitMQ and is made differently: members of a subscription share one order and one \
             delivery_limit; change them by deleting the queue when it is empty: {error}"
        );
        return Error::new(ErrorKind::Config, "subscribe", problem).with_source(error);
    }
    if is_soft(&error, &AMQPSoftError::ACCESSREFUSED) {
        let problem = format!("the RabbitMQ user may not make {what:?}: {error}");
        return Error::new(ErrorKind::Config, "subscribe", problem).with_source(error);
    }
    unavailable(
        "subscribe",
        "the subscription could not be made on RabbitMQ",
        error,
    )
}

fn arguments<const N: usize>(arguments: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(ShortString::from(name), value);
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

fn number(number: u32) -> AMQPValue {
    AMQPValue::LongLongInt(i64::from(number))
}
