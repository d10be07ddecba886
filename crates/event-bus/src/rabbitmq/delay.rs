//! Later: messages that wait inside the broker, for as long as they must, with nobody connected.
//!
//! A delay is a number of [steps](STEP), and each binary digit of it is a queue in which messages live for that digit's
//! worth and no longer. A message that must wait begins at its highest digit; what expires in a queue goes to the exchange
//! of the next lower digit, which sends it to its queue or past it, as the digits in its routing key say. Behind the last
//! digit an exchange sends it where the last word of its routing key says. Queues with one time to live each, because the
//! time of a single message counts only once it is the first of its queue.
//!
//! Every queue is a quorum queue that dead-letters at least once: a message leaves it when the next one has it.

use std::time::Duration;

use bytes::Bytes;
use lapin::options::{ExchangeBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, ExchangeKind};
use uuid::Uuid;

use super::headers::long;
use super::publish::Outgoing;
use super::topology::{bind, durable_exchange, exchange, table};
use crate::name::TopicName;

/// The smallest delay; others are rounded up to a multiple.
const STEP: Duration = Duration::from_millis(250);

/// Binary digits of a delay.
const DIGITS: u32 = 27;

/// More than a year.
pub(super) const LONGEST: Duration = STEP.saturating_mul((1 << DIGITS) - 1);

/// Behind the last digit.
const DUE: &str = "commerce:delay:due";

/// What is due and has no place to go, because its subscription was deleted: an exchange and its queue.
const LOST: &str = "commerce:delay:lost";

/// A message for later.
pub(super) fn delayed(
    delay: Duration,
    destination: &ShortString,
    properties: BasicProperties,
    body: Bytes,
) -> Option<Outgoing> {
    let steps = steps(delay)?;
    let routing_key = (0..DIGITS)
        .rev()
        .map(|digit| {
            if steps & (1 << digit) == 0 {
                "0."
            } else {
                "1."
            }
        })
        .chain([word(destination).as_str()])
        .collect::<String>();
    let first = steps
        .checked_ilog2()
        .map_or_else(|| ShortString::from(DUE), level);
    Some(Outgoing {
        exchange: first,
        // 27 digits with their dots and a word of 32.
        routing_key: ShortString::from(routing_key),
        properties,
        body,
    })
}

/// Never early: a part of a step counts as one.
fn steps(delay: Duration) -> Option<u32> {
    let steps = delay.as_nanos().div_ceil(STEP.as_nanos());
    u32::try_from(steps)
        .ok()
        .filter(|steps| steps >> DIGITS == 0)
}

/// A name as one word of a routing key, however long it is.
fn word(name: &ShortString) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_str().as_bytes())
        .simple()
        .to_string()
}

fn level(digit: u32) -> ShortString {
    ShortString::from(format!("commerce:delay:{digit}"))
}

/// Where what is due for a topic goes: a queue from which it leaves at once, for the topic's exchange. While nobody is
/// subscribed to the topic it stays here, and holds up no other topic.
pub(super) fn due_queue(topic: &TopicName) -> ShortString {
    ShortString::from(format!("{topic}:due"))
}

/// The queues and exchanges of every digit, which all topics share.
pub(super) async fn declare(channel: &Channel) -> lapin::Result<()> {
    declare_due(channel).await?;
    for digit in 0..DIGITS {
        let here = level(digit);
        let next = digit
            .checked_sub(1)
            .map_or_else(|| ShortString::from(DUE), level);
        declare_topic_exchange(channel, &here, FieldTable::default()).await?;
        let lifetime = u64::try_from((STEP * (1 << digit)).as_millis()).unwrap_or(u64::MAX);
        declare_queue(channel, &here, lifetime, &next).await?;
        let higher = "*.".repeat((DIGITS - 1 - digit) as usize);
        bind(channel, &here, &here, &format!("{higher}1.#")).await?;
        channel
            .exchange_bind(
                next,
                here,
                ShortString::from(format!("{higher}0.#")),
                ExchangeBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
    }
    Ok(())
}

/// Lets delayed messages come to a topic.
pub(super) async fn declare_topic(channel: &Channel, topic: &TopicName) -> lapin::Result<()> {
    let queue = due_queue(topic);
    declare_queue(channel, &queue, 0, &exchange(topic)).await?;
    bind(
        channel,
        &queue,
        &ShortString::from(DUE),
        &at_the_end(&queue),
    )
    .await
}

/// Lets delayed messages come to a queue.
pub(super) async fn bind_queue(channel: &Channel, queue: &ShortString) -> lapin::Result<()> {
    declare_due(channel).await?;
    bind(channel, queue, &ShortString::from(DUE), &at_the_end(queue)).await
}

fn at_the_end(queue: &ShortString) -> String {
    format!("{}{}", "*.".repeat(DIGITS as usize), word(queue))
}

async fn declare_due(channel: &Channel) -> lapin::Result<()> {
    let lost = ShortString::from(LOST);
    channel
        .exchange_declare(
            lost.clone(),
            ExchangeKind::Fanout,
            durable_exchange(),
            FieldTable::default(),
        )
        .await?;
    channel
        .queue_declare(
            lost.clone(),
            QueueDeclareOptions::durable(),
            table([("x-queue-type", long("quorum"))]),
        )
        .await?;
    bind(channel, &lost, &lost, "").await?;
    let arguments = table([("alternate-exchange", long(LOST))]);
    declare_topic_exchange(channel, &ShortString::from(DUE), arguments).await
}

async fn declare_topic_exchange(
    channel: &Channel,
    name: &ShortString,
    arguments: FieldTable,
) -> lapin::Result<()> {
    channel
        .exchange_declare(
            name.clone(),
            ExchangeKind::Topic,
            durable_exchange(),
            arguments,
        )
        .await
}

/// A queue whose messages go on after so many milliseconds.
async fn declare_queue(
    channel: &Channel,
    name: &ShortString,
    lifetime: u64,
    next: &ShortString,
) -> lapin::Result<()> {
    let arguments = table([
        ("x-queue-type", long("quorum")),
        (
            "x-message-ttl",
            // At most 250 ms times 2^26.
            AMQPValue::LongLongInt(i64::try_from(lifetime).unwrap_or(i64::MAX)),
        ),
        ("x-dead-letter-exchange", long(next.as_str())),
        ("x-dead-letter-strategy", long("at-least-once")),
        ("x-overflow", long("reject-publish")),
    ]);
    channel
        .queue_declare(name.clone(), QueueDeclareOptions::durable(), arguments)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(delay: Duration) -> Option<(String, String)> {
        let destination = ShortString::from("orders:due");
        let outgoing = delayed(
            delay,
            &destination,
            BasicProperties::default(),
            Bytes::new(),
        )?;
        Some((
            outgoing.exchange.to_string(),
            outgoing.routing_key.to_string(),
        ))
    }

    #[test]
    fn a_delay_is_rounded_up_and_begins_at_its_highest_digit() {
        for (millis, expected, begins) in [
            (0, 0, "commerce:delay:due"),
            (1, 1, "commerce:delay:0"),
            (250, 1, "commerce:delay:0"),
            (251, 2, "commerce:delay:1"),
            (1500, 6, "commerce:delay:2"),
            (60_000, 240, "commerce:delay:7"),
        ] {
            let (exchange, routing_key) = to(Duration::from_millis(millis)).unwrap();
            assert_eq!(exchange, begins);
            let words: Vec<&str> = routing_key.split('.').collect();
            let (end, digits) = words.split_last().unwrap();
            assert_eq!(digits.len(), 27);
            assert_eq!(
                u32::from_str_radix(&digits.concat(), 2).unwrap(),
                expected,
                "{millis} ms"
            );
            assert!(at_the_end(&ShortString::from("orders:due")).ends_with(end));
        }
        // A part of a millisecond is not lost.
        let (_, routing_key) = to(Duration::from_micros(250_001)).unwrap();
        assert!(routing_key.contains("1.0.") && !routing_key.contains("1.1."));
    }

    #[test]
    fn a_year_fits_and_no_name_is_too_long() {
        assert!(LONGEST > Duration::from_hours(366 * 24));
        assert!(to(LONGEST).is_some());
        assert!(to(LONGEST + Duration::from_nanos(1)).is_none());
        assert!(to(Duration::MAX).is_none());
        let long = ShortString::from("x".repeat(255));
        assert!(at_the_end(&long).len() < 255);
    }
}
