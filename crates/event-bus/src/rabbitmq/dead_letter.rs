//! Dead letters: a durable queue per subscription.
//!
//! The message is the original one, byte for byte, with what is known about its end in headers of its own. What the
//! broker itself puts there, because its delivery limit was reached, has the broker's headers instead.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueuePurgeOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel};
use tokio::time::{Instant, sleep};

use super::config::Config;
use super::envelope::{decode, republished};
use super::link::Link;
use super::member::{Held, Member};
use super::publish::{Outgoing, Publisher, Verdict};
use super::topology::{Queues, declare_dead, is_soft, ready};
use super::{no_subscription, unavailable};
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};

const PREFIX: &str = "dead-letter-";
const REASON: &str = "dead-letter-reason";
const ATTEMPTS: &str = "dead-letter-attempts";
const TOPIC: &str = "dead-letter-topic";
const SUBSCRIPTION: &str = "dead-letter-subscription";
const POSITION: &str = "dead-letter-position";
const TIME: &str = "dead-letter-time";

/// What the broker writes when it dead-letters by itself.
const BROKERS_OWN: [&str; 4] = [
    "x-death",
    "x-delivery-count",
    "x-first-death-",
    "x-last-death-",
];
const BROKERS_REASON: &str = "x-first-death-reason";

/// Redriven in one go.
const BATCH: usize = 100;

/// Keeps, reads and gives back dead letters.
pub(super) struct DeadLetters {
    pub(super) config: Config,
    pub(super) link: Arc<Link>,
    pub(super) publisher: Arc<Publisher>,
}

impl DeadLetters {
    /// Keeps a rejected message; returns when the broker has it.
    pub(super) async fn bury(
        &self,
        member: &Member,
        held: &Held,
        attempts: u32,
        reason: &str,
    ) -> Result<(), Error> {
        const OPERATION: &str = "settle";
        let mut headers = original_headers(&held.properties);
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        for (name, value) in [
            (REASON, reason.to_owned()),
            (ATTEMPTS, attempts.to_string()),
            (TOPIC, member.topic.to_string()),
            (SUBSCRIPTION, member.name.to_string()),
            (POSITION, held.position.clone()),
            (TIME, now),
        ] {
            headers.insert(
                ShortString::from(name),
                AMQPValue::LongString(LongString::from(value)),
            );
        }
        let letter = [to_queue(
            &member.queues.dead,
            &held.properties,
            headers,
            held.payload.clone(),
        )];
        match self.send(OPERATION, &letter).await {
            Verdict::Unrouted => {}
            verdict => return confirmed(OPERATION, verdict),
        }
        // Somebody deleted the queue: it is made again, rather than the key stopped.
        let channel = self.channel(OPERATION).await?;
        let made = declare_dead(&channel, &member.queues).await;
        made.map_err(|error| {
            unavailable(
                OPERATION,
                "the queue of dead letters could not be made",
                error,
            )
        })?;
        confirmed(OPERATION, self.send(OPERATION, &letter).await)
    }

    /// The oldest dead letters. They are taken and given back, so a look at the same time sees others.
    pub(super) async fn list(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        const OPERATION: &str = "dead_letters";
        let failed = |error| unavailable(OPERATION, "the dead letters could not be read", error);
        let queues = Queues::of(OPERATION, topic, name)?;
        let channel = self.channel(OPERATION).await?;
        let before = ready(&channel, &queues.dead).await.map_err(failed)?;
        let before = before.ok_or_else(|| no_subscription(OPERATION, topic, name))?;
        let taken = take(&channel, &queues.dead, limit).await.map_err(failed)?;
        let letters = taken
            .iter()
            .map(|message| letter(topic, name, message))
            .collect();
        if let Some(last) = taken.last() {
            let back = BasicNackOptions {
                multiple: true,
                requeue: true,
            };
            last.acker.nack(back).await.map_err(failed)?;
            self.await_ready(&channel, &queues.dead, before)
                .await
                .map_err(failed)?;
        }
        let _ = channel.close(200, ShortString::from("read")).await;
        Ok(letters)
    }

    /// Messages given back count again a moment later; who counts right after a look counts all.
    async fn await_ready(
        &self,
        channel: &Channel,
        queue: &ShortString,
        count: u32,
    ) -> lapin::Result<()> {
        let deadline = Instant::now() + self.config.request_timeout.min(Duration::from_secs(2));
        while ready(channel, queue)
            .await?
            .is_some_and(|ready| ready < count)
            && Instant::now() < deadline
        {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Gives the oldest dead letters to the subscription's queue. Each is taken from the dead letters only when the queue
    /// has it; ended in between, it is in both.
    pub(super) async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "redrive";
        let failed = |error| unavailable(OPERATION, "the dead letters could not be read", error);
        let queues = Queues::of(OPERATION, topic, name)?;
        let channel = self.channel(OPERATION).await?;
        let there = ready(&channel, &queues.dead).await.map_err(failed)?;
        let there = there.ok_or_else(|| no_subscription(OPERATION, topic, name))?;
        // Those rejected again meanwhile are for the next redrive.
        let mut left = limit.min(usize::try_from(there).unwrap_or(usize::MAX));
        let mut redriven = 0;
        while left > 0 {
            let taken = take(&channel, &queues.dead, left.min(BATCH))
                .await
                .map_err(failed)?;
            if taken.is_empty() {
                break;
            }
            left -= taken.len();
            let again: Vec<Outgoing> = taken
                .iter()
                .map(|message| {
                    let body = Bytes::copy_from_slice(&message.data);
                    to_queue(
                        &queues.main,
                        &message.properties,
                        original_headers(&message.properties),
                        body,
                    )
                })
                .collect();
            let verdicts = self
                .publisher
                .send(OPERATION, &BTreeSet::new(), &again)
                .await;
            for (message, verdict) in taken.iter().zip(verdicts) {
                // The channel closes with this error, which gives the rest back.
                confirmed(OPERATION, verdict)?;
                message
                    .acker
                    .ack(BasicAckOptions::default())
                    .await
                    .map_err(failed)?;
                redriven += 1;
            }
        }
        let _ = channel.close(200, ShortString::from("redriven")).await;
        Ok(redriven)
    }

    /// Forgets all dead letters.
    pub(super) async fn purge(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "purge_dead_letters";
        let queues = Queues::of(OPERATION, topic, name)?;
        let channel = self.channel(OPERATION).await?;
        match channel
            .queue_purge(queues.dead, QueuePurgeOptions::default())
            .await
        {
            Ok(purged) => Ok(u64::from(purged)),
            Err(error) if is_soft(&error, &AMQPSoftError::NOTFOUND) => {
                Err(no_subscription(OPERATION, topic, name))
            }
            Err(error) => Err(unavailable(
                OPERATION,
                "the dead letters could not be purged",
                error,
            )),
        }
    }

    async fn channel(&self, operation: &'static str) -> Result<Channel, Error> {
        self.link
            .channel(operation, Instant::now() + self.config.request_timeout)
            .await
    }

    async fn send(&self, operation: &'static str, one: &[Outgoing]) -> Verdict {
        let mut verdicts = self.publisher.send(operation, &BTreeSet::new(), one).await;
        // One message, one verdict.
        verdicts.pop().unwrap_or(Verdict::Unrouted)
    }
}

async fn take(
    channel: &Channel,
    queue: &ShortString,
    limit: usize,
) -> lapin::Result<Vec<BasicGetMessage>> {
    let mut taken = Vec::new();
    while taken.len() < limit {
        match channel
            .basic_get(queue.clone(), BasicGetOptions::default())
            .await?
        {
            Some(message) => taken.push(message),
            None => break,
        }
    }
    Ok(taken)
}

fn confirmed(operation: &'static str, verdict: Verdict) -> Result<(), Error> {
    match verdict {
        Verdict::Confirmed => Ok(()),
        Verdict::Unrouted => {
            let problem = "the queue does not exist";
            Err(Error::new(ErrorKind::Unavailable, operation, problem))
        }
        Verdict::Failed(trouble) | Verdict::Unknown(trouble) => Err(trouble.error(operation)),
    }
}

/// Past every exchange of ours, to one queue.
fn to_queue(
    queue: &ShortString,
    properties: &BasicProperties,
    headers: FieldTable,
    body: Bytes,
) -> Outgoing {
    Outgoing {
        exchange: ShortString::default(),
        routing_key: queue.clone(),
        properties: republished(properties, headers),
        body,
    }
}

fn original_headers(properties: &BasicProperties) -> FieldTable {
    let added = |name: &str| {
        name.starts_with(PREFIX) || BROKERS_OWN.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut original = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if !added(name.as_str()) {
            original.insert(name.clone(), value.clone());
        }
    }
    original
}

fn letter(topic: &TopicName, name: &SubscriptionName, message: &BasicGetMessage) -> DeadLetter {
    let headers = message.properties.headers().clone().unwrap_or_default();
    let text = |name: &str| match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    };
    let original = republished(&message.properties, original_headers(&message.properties));
    let rejected_at = text(TIME)
        .and_then(|time| DateTime::parse_from_rfc3339(&time).ok())
        .map_or(DateTime::UNIX_EPOCH, |time| time.with_timezone(&Utc));
    DeadLetter::new(
        topic.clone(),
        name.clone(),
        decode(topic, &original, &Bytes::copy_from_slice(&message.data)),
        text(POSITION).unwrap_or_else(|| message.delivery_tag.to_string()),
    )
    .with_attempts(
        text(ATTEMPTS)
            .and_then(|attempts| attempts.parse().ok())
            .unwrap_or_default(),
    )
    .with_reasons(vec![
        text(REASON)
            .or_else(|| text(BROKERS_REASON))
            .unwrap_or_default(),
    ])
    .with_times(rejected_at, rejected_at)
}
