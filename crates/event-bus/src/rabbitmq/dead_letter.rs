//! Dead letters: a durable queue per subscription.
//!
//! The message is the original one, byte for byte, with what is known about its end in headers of its own. What the
//! broker itself puts there, because its delivery limit was reached, has the broker's headers instead.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueuePurgeOptions};
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
use super::topology::{Queues, declare_dead, is_soft, ready};
use super::trail::{DEAD_LETTER, Trail, time_text, without_trail};
use super::{no_subscription, unavailable};
use crate::dead_letter::{DeadLetter, add_reason};
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::message::{Message, Undecodable};
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

    /// Gives the oldest dead letters that the filter wants to the subscription's queues. Each is taken from the dead letters
    /// only when a queue has it; ended in between, it is in both.
    pub(super) async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "redrive";
        let failed = |error| unavailable(OPERATION, "the dead letters could not be read", error);
        let queues = Queues::of(OPERATION, topic, name)?;
        let channel = self.channel(OPERATION).await?;
        let there = ready(&channel, &queues.dead).await.map_err(failed)?;
        let there = there.ok_or_else(|| no_subscription(OPERATION, topic, name))?;
        // Those rejected again meanwhile are for the next redrive.
        let mut unseen = usize::try_from(there).unwrap_or(usize::MAX);
        let mut left = limit;
        let mut redriven = 0;
        let mut trouble = None;
        // The broker keeps what is not wanted; here its tag is enough.
        let mut kept = Returning::default();
        while left > 0 && unseen > 0 && trouble.is_none() {
            let taken = take(&channel, &queues.dead, left.min(unseen).min(BATCH))
                .await
                .map_err(failed)?;
            if taken.is_empty() {
                break;
            }
            unseen -= taken.len();
            let mut wanted = Vec::with_capacity(taken.len());
            let mut staying = Vec::new();
            for message in taken {
                let body = Bytes::copy_from_slice(&message.data);
                let decoded = decode(topic, &message.properties, &body);
                let matches = |message: &Message| filter.matches(&message.event);
                if filter.is_empty() || decoded.as_ref().is_ok_and(matches) {
                    wanted.push((key_of(decoded), message));
                } else {
                    staying.push(message);
                }
            }
            left -= wanted.len();
            let again = self.give_again(&queues, wanted).await;
            redriven += again.given;
            trouble = again.trouble;
            staying.extend(again.staying);
            staying.sort_by_key(|message| message.delivery_tag);
            kept.add(&mut staying);
        }
        let remaining = u64::from(there).saturating_sub(redriven);
        let back = self.put_back(&channel, &queues.dead, kept, remaining).await;
        let _ = channel.close(200, ShortString::from("redriven")).await;
        match trouble {
            Some(error) => Err(stopped(error, redriven)),
            None => back.map(|()| redriven).map_err(failed),
        }
    }

    /// What was taken and stays dead goes back in its order; returns when it counts again.
    async fn put_back(
        &self,
        channel: &Channel,
        queue: &ShortString,
        kept: Returning,
        remaining: u64,
    ) -> lapin::Result<()> {
        if kept.tags.is_empty() {
            return Ok(());
        }
        kept.give_back(channel, queue).await?;
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
        self.await_ready(channel, queue, remaining).await
    }

    /// To the entry of the subscription, which knows the queue of the key. Of each key one at a time is on its way, so
    /// that none passes one that is not taken; after the first trouble nothing more is sent.
    async fn give_again(
        &self,
        queues: &Queues,
        letters: Vec<(Option<Bytes>, BasicGetMessage)>,
    ) -> Again {
        const OPERATION: &str = "redrive";
        let mut again = Again::default();
        for round in rounds(letters) {
            if again.trouble.is_some() {
                again.staying.extend(round);
                continue;
            }
            let outgoing: Vec<Outgoing> = round
                .iter()
                .map(|message| redriven(queues, message))
                .collect();
            let needs = Needs::default();
            let verdicts = self.publisher.send(OPERATION, &needs, &outgoing).await;
            // All that are in a queue leave the dead letters, also when one before them is not.
            for (message, verdict) in round.into_iter().zip(verdicts) {
                if let Err(error) = confirmed(OPERATION, verdict) {
                    again.trouble.get_or_insert(error);
                    again.staying.push(message);
                    continue;
                }
                match message.acker.ack(BasicAckOptions::default()).await {
                    Ok(_) => again.given += 1,
                    // The channel is gone, which gives it back.
                    Err(error) => {
                        let problem = "a dead letter is in its queue again and stays here too";
                        let error = unavailable(OPERATION, problem, error);
                        again.trouble.get_or_insert(error);
                    }
                }
            }
        }
        again
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

    async fn send(&self, operation: &'static str, needs: &Needs, one: &[Outgoing]) -> Verdict {
        let mut verdicts = self.publisher.send(operation, needs, one).await;
        // One message, one verdict.
        verdicts.pop().unwrap_or(Verdict::Unrouted)
    }
}

/// What became of dead letters that were given to their subscription again.
#[derive(Debug, Default)]
struct Again {
    /// Those that a queue has and the dead letters no more.
    given: u64,
    /// Those that stay dead: no queue is known to have them.
    staying: Vec<BasicGetMessage>,
    /// Why not all were given.
    trouble: Option<Error>,
}

/// Parts a sequence so that of each key there is one in a part, and the earlier is in an earlier part. What has no key
/// has no order to keep: all of it is in the first.
fn rounds<K: Eq + Hash, T>(sequence: impl IntoIterator<Item = (Option<K>, T)>) -> Vec<Vec<T>> {
    let mut rounds: Vec<Vec<T>> = Vec::new();
    let mut of_key: HashMap<K, usize> = HashMap::new();
    for (key, one) in sequence {
        let round = key.map_or(0, |key| {
            let next = of_key.entry(key).or_default();
            *next += 1;
            *next - 1
        });
        match rounds.get_mut(round) {
            Some(round) => round.push(one),
            // At most one further than there are.
            None => rounds.push(vec![one]),
        }
    }
    rounds
}

fn key_of(decoded: Result<Message, Undecodable>) -> Option<Bytes> {
    match decoded {
        Ok(message) => message
            .key()
            .map(|key| Bytes::copy_from_slice(key.as_bytes())),
        Err(undecodable) => undecodable.key,
    }
}

/// A dead letter as it goes out again: what is kept of its trail is why it was rejected.
fn redriven(queues: &Queues, letter: &BasicGetMessage) -> Outgoing {
    let properties = &letter.properties;
    let mut headers = original_headers(properties);
    let before = properties.headers().as_ref().map(Trail::read);
    let trail = Trail {
        reasons: before.unwrap_or_default().reasons,
        ..Trail::default()
    };
    trail.write(&mut headers);
    let body = Bytes::copy_from_slice(&letter.data);
    let routing_key = ShortString::default();
    to(&queues.entry, &routing_key, properties, headers, body)
}

fn stopped(error: Error, redriven: u64) -> Error {
    let problem = format!(
        "{redriven} dead letters went to their queues again, and then one was not confirmed; it and the rest stay dead, \
         in their order: redrive again once this is mended: {error}"
    );
    Error::new(error.kind(), "redrive", problem)
        .with_retryable(error.is_retryable())
        .with_source(error)
}

/// Messages that were taken and go back, the oldest first.
#[derive(Debug, Default)]
struct Returning {
    tags: Vec<u64>,
    /// The last of them was never taken before.
    ends_fresh: bool,
}

impl Returning {
    fn of(taken: &mut Vec<BasicGetMessage>) -> Self {
        let mut returning = Self::default();
        returning.add(taken);
        returning
    }

    fn add(&mut self, taken: &mut Vec<BasicGetMessage>) {
        for message in taken.drain(..) {
            self.ends_fresh = !message.redelivered;
            self.tags.push(message.delivery_tag);
        }
    }

    /// What goes back to a quorum queue goes behind what went back before, and both go before the rest. So all that went
    /// back before is taken too, and then everything goes back in its order.
    async fn give_back(mut self, channel: &Channel, queue: &ShortString) -> lapin::Result<()> {
        while !self.tags.is_empty() && !self.ends_fresh {
            let mut next = take(channel, queue, 1).await?;
            if next.is_empty() {
                break;
            }
            self.add(&mut next);
        }
        let one = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        for tag in self.tags {
            channel.basic_nack(tag, one).await?;
        }
        Ok(())
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

/// Past the topic, to one subscription.
fn to(
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

fn original_headers(properties: &BasicProperties) -> FieldTable {
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
    fn of_each_key_one_goes_after_the_other_and_the_rest_at_once() {
        let letters = [
            (Some("a"), 1),
            (None, 2),
            (Some("a"), 3),
            (Some("b"), 4),
            (Some("a"), 5),
            (None, 6),
            (Some("b"), 7),
        ];
        assert_eq!(rounds(letters), [vec![1, 2, 4, 6], vec![3, 7], vec![5]]);
        assert!(rounds::<&str, u64>([]).is_empty());
    }

    #[test]
    fn a_redrive_that_stopped_says_how_far_it_came_and_what_to_do() {
        let cause = || Error::new(ErrorKind::Unavailable, "redrive", "a queue refused it");
        let error = stopped(cause(), 7);
        assert!(error.kind() == ErrorKind::Unavailable && error.is_retryable());
        for part in ["7 dead letters", "redrive again", "a queue refused it"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(!stopped(cause().with_retryable(false), 0).is_retryable());
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
