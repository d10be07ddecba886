//! Dead letters: a durable queue per subscription.
//!
//! The message is the original one, byte for byte, with what is known about its end in headers of its own. What the
//! broker itself puts there, because its delivery limit was reached, has the broker's headers instead.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use lapin::options::QueuePurgeOptions;
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel};
use tokio::time::{Instant, sleep};

use super::config::Config;
use super::envelope::{decode, republished};
use super::headers::{long, text};
use super::link::Link;
use super::member::{Held, Member};
use super::publish::{Needs, Outgoing, Publisher, Verdict};
use super::redrive::{Returning, take};
use super::topology::{Queues, declare_dead, is_soft, ready};
use super::trail::{DEAD_LETTER, Trail, time_text, without_trail};
use super::{no_subscription, unavailable};
use crate::dead_letter::{DeadLetter, add_reason};
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};

const TOPIC: &str = "topic";
const SUBSCRIPTION: &str = "subscription";
const POSITION: &str = "position";
const TIME: &str = "time";

/// What the broker writes when it dead-letters by itself: what happened to the message in which queue, the newest first.
const BROKERS_HISTORY: &str = "x-death";
/// Where it says that a message waited its time.
const EXPIRED: &str = "expired";

/// What is kept of a reason: headers have one frame for all of them.
const REASON_AT_MOST: usize = 4 * 1024;

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
        mut trail: Trail,
        reason: String,
    ) -> Result<(), Error> {
        const OPERATION: &str = "settle";
        add_reason(&mut trail.reasons, beginning(reason));
        let mut headers = original_headers(&held.properties);
        trail.write(&mut headers);
        for (name, value) in [
            (TOPIC, member.topic.to_string()),
            (SUBSCRIPTION, member.name.to_string()),
            (POSITION, held.position.clone()),
            (TIME, time_text(Utc::now())),
        ] {
            headers.insert(
                ShortString::from(format!("{DEAD_LETTER}{name}")),
                long(value),
            );
        }
        let letter = to(
            &ShortString::default(),
            &member.queues.dead,
            &held.properties,
            headers,
            held.payload.clone(),
        );
        let letter = [letter];
        match self.send(OPERATION, &Needs::default(), &letter).await {
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
        let verdict = self.send(OPERATION, &Needs::default(), &letter).await;
        confirmed(OPERATION, verdict)
    }

    /// Sends a message on; returns when the broker has it.
    pub(super) async fn send_confirmed(
        &self,
        operation: &'static str,
        needs: &Needs,
        message: Outgoing,
    ) -> Result<(), Error> {
        confirmed(operation, self.send(operation, needs, &[message]).await)
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
        let mut taken = take(&channel, &queues.dead, limit).await.map_err(failed)?;
        let letters = taken
            .iter()
            .map(|message| {
                let body = Bytes::copy_from_slice(&message.data);
                let limit = self.config.delivery_limit;
                letter(topic, name, &message.properties, &body, limit)
            })
            .collect();
        let back = Returning::of(&mut taken);
        back.give_back(&channel, &queues.dead)
            .await
            .map_err(failed)?;
        self.await_ready(&channel, &queues.dead, before)
            .await
            .map_err(failed)?;
        let _ = channel.close(200, ShortString::from("read")).await;
        Ok(letters)
    }

    /// Messages given back count again a moment later; who counts right after a look counts all.
    pub(super) async fn await_ready(
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

    pub(super) async fn channel(&self, operation: &'static str) -> Result<Channel, Error> {
        self.link
            .channel(operation, Instant::now() + self.config.request_timeout)
            .await
    }

    async fn send(&self, operation: &'static str, needs: &Needs, one: &[Outgoing]) -> Verdict {
        let mut verdicts = self.publisher.send(operation, needs, one).await;
        // One message, one verdict.
        verdicts.pop().unwrap_or(Verdict::Unrouted)
    }
}

pub(super) fn confirmed(operation: &'static str, verdict: Verdict) -> Result<(), Error> {
    match verdict {
        Verdict::Confirmed => Ok(()),
        Verdict::Unrouted => {
            let problem = "the queue does not exist";
            Err(Error::new(ErrorKind::Unavailable, operation, problem))
        }
        Verdict::Failed(trouble) | Verdict::Unknown(trouble) => Err(trouble.error(operation)),
    }
}

/// Past the topic, to one subscription.
pub(super) fn to(
    exchange: &ShortString,
    routing_key: &ShortString,
    properties: &BasicProperties,
    headers: FieldTable,
    body: Bytes,
) -> Outgoing {
    Outgoing {
        exchange: exchange.clone(),
        routing_key: routing_key.clone(),
        properties: republished(properties, headers),
        body,
    }
}

pub(super) fn original_headers(properties: &BasicProperties) -> FieldTable {
    let headers = properties.headers().as_ref();
    headers.map(without_trail).unwrap_or_default()
}

/// A message in the queue of dead letters, put there by a member or by the broker itself.
pub(crate) fn letter(
    topic: &TopicName,
    name: &SubscriptionName,
    properties: &BasicProperties,
    body: &Bytes,
    delivery_limit: u32,
) -> DeadLetter {
    let headers = properties.headers().clone().unwrap_or_default();
    let mut trail = Trail::read(&headers);
    let original = republished(properties, without_trail(&headers));
    let said = |what: &str| {
        text(
            headers
                .inner()
                .get(format!("{DEAD_LETTER}{what}").as_str())?,
        )
    };
    let rejected_at = said(TIME).and_then(|time| DateTime::parse_from_rfc3339(&time).ok());
    let rejected_at = if let Some(time) = rejected_at {
        time.to_utc()
    } else {
        let (reason, time) = brokers_own(&headers);
        add_reason(&mut trail.reasons, reason);
        trail.attempts = trail
            .attempts
            .saturating_add(delivery_limit)
            .saturating_add(1);
        time
    };
    DeadLetter::new(
        topic.clone(),
        name.clone(),
        decode(topic, &original, body),
        said(POSITION).unwrap_or_default(),
    )
    .with_attempts(trail.attempts)
    .with_reasons(trail.reasons)
    .with_times(trail.first_failed_at.unwrap_or(rejected_at), rejected_at)
}

fn beginning(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_AT_MOST));
    reason
}

/// Why the broker gave up on a message, and when.
fn brokers_own(headers: &FieldTable) -> (String, DateTime<Utc>) {
    let history = match headers.inner().get(BROKERS_HISTORY) {
        Some(AMQPValue::FieldArray(history)) => history.as_slice(),
        _ => &[],
    };
    let mut events = history.iter().filter_map(|event| match event {
        AMQPValue::FieldTable(event) => {
            let reason = text(event.inner().get("reason")?)?;
            let time = match event.inner().get("time") {
                Some(AMQPValue::Timestamp(seconds)) => i64::try_from(*seconds).ok(),
                _ => None,
            };
            let time = time.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            Some((reason, time.unwrap_or(DateTime::UNIX_EPOCH)))
        }
        _ => None,
    });
    let found = events.find(|(reason, _)| reason != EXPIRED);
    found.unwrap_or((String::new(), DateTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::types::FieldArray;

    fn names() -> (TopicName, SubscriptionName) {
        (
            TopicName::new("orders").unwrap(),
            SubscriptionName::new("billing").unwrap(),
        )
    }

    fn event(reason: &str, seconds: u64) -> AMQPValue {
        let mut event = FieldTable::default();
        event.insert("reason".into(), long(reason));
        event.insert("time".into(), AMQPValue::Timestamp(seconds));
        AMQPValue::FieldTable(event)
    }

    #[test]
    fn what_the_broker_gave_up_on_says_why_after_it_had_waited() {
        let (topic, name) = names();
        let mut headers = FieldTable::default();
        let trail = Trail {
            attempts: 3,
            reasons: vec!["the first time".to_owned()],
            ..Trail::default()
        };
        trail.write(&mut headers);
        let history = vec![
            event("expired", 9),
            event("delivery_limit", 8),
            event("expired", 7),
        ];
        headers.insert("x-death".into(), AMQPValue::FieldArray(history.into()));
        let properties = BasicProperties::default().with_headers(headers);
        let letter = letter(&topic, &name, &properties, &Bytes::from_static(b"?"), 5);
        assert_eq!(letter.reasons, ["the first time", "delivery_limit"]);
        assert_eq!(letter.attempts, 9);
        assert_eq!(letter.rejected_at.timestamp(), 8);
        assert!(letter.body.unwrap_err().headers.is_empty());
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(beginning("short".to_owned()), "short");
        let long = beginning("é".repeat(REASON_AT_MOST));
        assert_eq!(long.len(), REASON_AT_MOST);
        assert_eq!(beginning(format!("x{long}")).len(), REASON_AT_MOST - 1);
    }

    #[test]
    fn foreign_headers_make_no_trouble() {
        let (topic, name) = names();
        for history in [
            AMQPValue::Void,
            AMQPValue::FieldArray(FieldArray::from(vec![long("x"), event("", u64::MAX)])),
        ] {
            let mut headers = FieldTable::default();
            headers.insert("x-death".into(), history);
            headers.insert(format!("{DEAD_LETTER}{TIME}").into(), long("tomorrow"));
            let properties = BasicProperties::default().with_headers(headers);
            let letter = letter(&topic, &name, &properties, &Bytes::new(), u32::MAX);
            assert_eq!(letter.reason(), "");
            assert_eq!(letter.rejected_at, DateTime::UNIX_EPOCH);
        }
    }
}
