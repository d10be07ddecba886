//! Publisher confirms and mandatory, always.
//!
//! A publish has a channel to itself until the last of its confirms: a returned message is told apart by its own
//! properties, and that is certain only when nobody else publishes on the channel.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::closed;
use super::config::Config;
use super::delay;
use super::envelope::encode;
use super::link::Link;
use super::topology::{declare_exchange, exchange, is_soft};
use crate::error::{Error, ErrorKind, PublishError};
use crate::message::{Accepted, Message};
use crate::name::TopicName;

/// Publishes at the same time; others wait for a channel.
const CHANNELS: u32 = 64;

/// Messages on their way without a confirm.
const WINDOW: usize = 500;

/// A message as it goes out.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

/// What must exist before messages are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    topics: BTreeSet<TopicName>,
    /// Topics that messages come to later.
    later: BTreeSet<TopicName>,
    /// The queues of delays.
    delays: bool,
}

impl Needs {
    /// For what goes to a queue later.
    pub(super) fn delays() -> Self {
        Self {
            delays: true,
            ..Self::default()
        }
    }

    /// What the messages of one topic need of it.
    fn of(&self, topic: &TopicName) -> Self {
        let of = |topics: &BTreeSet<TopicName>| topics.get(topic).cloned().into_iter().collect();
        let later: BTreeSet<TopicName> = of(&self.later);
        Self {
            topics: of(&self.topics),
            delays: !later.is_empty(),
            later,
        }
    }

    fn is_empty(&self) -> bool {
        !self.delays && self.topics.is_empty() && self.later.is_empty()
    }

    /// What is not in `known`.
    fn unless(&self, known: &Self) -> Self {
        Self {
            topics: self.topics.difference(&known.topics).cloned().collect(),
            later: self.later.difference(&known.later).cloned().collect(),
            delays: self.delays && !known.delays,
        }
    }
}

/// What became of a message.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Confirmed,
    /// No queue is bound: the broker gave it back.
    Unrouted,
    /// The broker does not have it.
    Failed(Trouble),
    /// The broker may have it.
    Unknown(Trouble),
}

impl Verdict {
    /// Whether it stays so until somebody mends what it tells of.
    fn is_permanent(&self) -> bool {
        matches!(self, Self::Failed(trouble) | Self::Unknown(trouble) if trouble.is_permanent())
    }

    /// What exists is what was asked for, so the broker refused a message itself: it is larger than the broker takes. Which
    /// of several it was, the channel that broke does not tell.
    fn is_of_a_message(&mut self, sent: usize) {
        if let Self::Failed(trouble) | Self::Unknown(trouble) = self
            && let Some(error) = &trouble.source
            && is_soft(error, &AMQPSoftError::PRECONDITIONFAILED)
        {
            let (kind, problem) = if sent == 1 {
                let problem = "it is larger than the broker's max_message_size; lower max_message to that, and keep what is \
                               large elsewhere";
                (ErrorKind::Message, problem)
            } else {
                let problem = "a message of the batch is larger than the broker's max_message_size; publish them one by one, \
                               and lower max_message to that";
                (ErrorKind::Unavailable, problem)
            };
            trouble.problem = format!("{problem}: {error}");
            trouble.kind = kind;
        }
    }

    /// Another topic of the batch may be what the broker refused.
    fn may_pass(&mut self) {
        if let Self::Failed(trouble) | Self::Unknown(trouble) = self {
            trouble.kind = ErrorKind::Unavailable;
        }
    }
}

/// What went wrong, for every message that it went wrong for.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    kind: ErrorKind,
    problem: String,
    source: Option<lapin::Error>,
}

impl Trouble {
    fn new(kind: ErrorKind, problem: &str) -> Self {
        Self {
            kind,
            problem: problem.to_owned(),
            source: None,
        }
    }

    /// What the client or the broker said. What somebody has to mend first is told apart from what passes.
    fn connection(error: lapin::Error) -> Self {
        let (kind, problem) = if is_soft(&error, &AMQPSoftError::ACCESSREFUSED) {
            let problem = "the RabbitMQ user may not publish there: to declare and use the topic's exchange it needs the \
                           permissions configure and write";
            (ErrorKind::Config, problem)
        } else if is_soft(&error, &AMQPSoftError::PRECONDITIONFAILED) {
            let problem = "RabbitMQ refuses it: what it goes through exists and is made differently, and has to be deleted \
                           or named otherwise";
            (ErrorKind::Config, problem)
        } else {
            (ErrorKind::Unavailable, "RabbitMQ did not take it")
        };
        Self {
            kind,
            problem: format!("{problem}: {error}"),
            source: Some(error),
        }
    }

    fn is_permanent(&self) -> bool {
        self.kind == ErrorKind::Config
    }

    fn late() -> Self {
        Self::new(ErrorKind::Timeout, "RabbitMQ did not confirm in time")
    }

    pub(super) fn error(self, operation: &'static str) -> Error {
        let error = Error::new(self.kind, operation, self.problem);
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self {
            kind: error.kind(),
            problem: error.to_string(),
            source: None,
        }
    }
}

/// Publishes and waits for the broker's word.
pub(super) struct Publisher {
    config: Config,
    link: Arc<Link>,
    idle: Mutex<Vec<Channel>>,
    permits: Semaphore,
    /// What is known to exist.
    declared: Mutex<Needs>,
    closing: AtomicBool,
}

impl Publisher {
    pub(super) fn new(config: &Config, link: Arc<Link>) -> Self {
        Self {
            config: config.clone(),
            link,
            idle: Mutex::default(),
            permits: Semaphore::new(CHANNELS as usize),
            declared: Mutex::default(),
            closing: AtomicBool::new(false),
        }
    }

    /// Publishes messages in order; one result per message.
    pub(super) async fn publish(
        &self,
        messages: Vec<Message>,
    ) -> Vec<Result<Accepted, PublishError>> {
        let mut refused = Vec::with_capacity(messages.len());
        let mut outgoing = Vec::with_capacity(messages.len());
        let mut needs = Needs::default();
        let now = self.config.clock.now();
        for message in &messages {
            match self.to_topic(message, now, &mut needs) {
                Ok(message) => {
                    outgoing.push(message);
                    refused.push(None);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        let mut verdicts = self.send("publish", &needs, &outgoing).await;
        if needs.topics.len() > 1 && verdicts.iter().any(Verdict::is_permanent) {
            let sent = messages.iter().zip(&refused);
            let topics = sent.filter(|(_, refused)| refused.is_none());
            let topics = topics.map(|(message, _)| &message.topic).collect();
            self.send_apart(&needs, topics, &outgoing, &mut verdicts)
                .await;
        }
        let mut verdicts = verdicts.into_iter();
        let each = messages.into_iter().zip(refused);
        each.map(|(message, refused)| match refused {
            Some(error) => Err(PublishError::failed(message, error)),
            // As many verdicts as messages sent.
            None => self.result(
                message,
                verdicts.next().unwrap_or(Verdict::Unknown(Trouble::late())),
            ),
        })
        .collect()
    }

    /// What one topic is refused for tells nothing of the others, but took their channel from them: what surely was not
    /// sent is sent again, each topic apart.
    async fn send_apart(
        &self,
        needs: &Needs,
        topics: Vec<&TopicName>,
        outgoing: &[Outgoing],
        verdicts: &mut [Verdict],
    ) {
        let mut apart: BTreeMap<&TopicName, Vec<usize>> = BTreeMap::new();
        for (at, topic) in topics.into_iter().enumerate() {
            apart.entry(topic).or_default().push(at);
        }
        for (topic, places) in apart {
            let surely = |at: &usize| matches!(verdicts[*at], Verdict::Failed(_));
            if places.iter().all(surely) {
                let again: Vec<Outgoing> = places.iter().map(|at| outgoing[*at].clone()).collect();
                let told = self.send("publish", &needs.of(topic), &again).await;
                for (at, verdict) in places.into_iter().zip(told) {
                    verdicts[at] = verdict;
                }
            } else {
                // Sent again, they could overtake those of which nothing is known.
                for at in places {
                    verdicts[at].may_pass();
                }
            }
        }
    }

    fn to_topic(
        &self,
        message: &Message,
        now: DateTime<Utc>,
        needs: &mut Needs,
    ) -> Result<Outgoing, Error> {
        let topic = &message.topic;
        let (size, limit) = (message.size(), self.config.max_message);
        if size > limit {
            let problem =
                format!("the message is {size} bytes, and {limit} are allowed (max_message)");
            return Err(Error::new(ErrorKind::Message, "publish", problem));
        }
        let (properties, body) = encode(message)?;
        // In the past: due.
        let delay = message
            .deliver_at
            .and_then(|due| (due - now).to_std().ok())
            .filter(|delay| !delay.is_zero());
        let outgoing = match delay {
            Some(delay) => {
                let later = delay::delayed(delay, &delay::due_queue(topic), properties, body);
                let later = later.ok_or_else(|| {
                    let problem = format!(
                        "RabbitMQ keeps a message for later for {} days at most",
                        delay::LONGEST.as_secs() / (24 * 60 * 60)
                    );
                    Error::new(ErrorKind::Unsupported, "publish", problem)
                })?;
                needs.delays = true;
                needs.later.insert(topic.clone());
                later
            }
            None => Outgoing {
                exchange: exchange(topic),
                // For who binds queues of their own; ours take everything.
                routing_key: ShortString::try_new(message.event.event_type()).unwrap_or_default(),
                properties,
                body,
            },
        };
        needs.topics.insert(topic.clone());
        Ok(outgoing)
    }

    fn result(&self, message: Message, verdict: Verdict) -> Result<Accepted, PublishError> {
        match verdict {
            Verdict::Confirmed => Ok(Accepted::new(None)),
            Verdict::Unrouted
                if message
                    .deliver_at
                    .is_some_and(|due| due > self.config.clock.now()) =>
            {
                let problem = "a queue of RabbitMQ's for later messages was deleted; it is made again with the next publish";
                let error = Error::new(ErrorKind::Unavailable, "publish", problem);
                Err(PublishError::failed(message, error))
            }
            Verdict::Unrouted if self.config.unrouted_ok.contains(&message.topic) => {
                Ok(Accepted::new(None))
            }
            Verdict::Unrouted => {
                let problem = format!(
                    "topic {topic} has no subscription yet, and RabbitMQ keeps nothing without one; subscribe first, or \
                     say with unrouted_ok={topic} in the URL that nobody needs it",
                    topic = message.topic
                );
                let error = Error::new(ErrorKind::NoSubscription, "publish", problem);
                Err(PublishError::failed(message, error))
            }
            Verdict::Failed(trouble) => {
                Err(PublishError::failed(message, trouble.error("publish")))
            }
            Verdict::Unknown(trouble) => {
                Err(PublishError::unknown(message, trouble.error("publish")))
            }
        }
    }

    /// Sends messages on one channel, in order, and waits for every confirm. What was not sent yet when the channel
    /// breaks is not sent any more: it would overtake what is unknown.
    pub(super) async fn send(
        &self,
        operation: &'static str,
        needs: &Needs,
        outgoing: &[Outgoing],
    ) -> Vec<Verdict> {
        let deadline = Instant::now() + self.config.publish_timeout;
        let (channel, _permit) = match self.check_out(operation, needs, deadline).await {
            Ok(checked_out) => checked_out,
            Err(error) => return vec![Verdict::Failed(error.into()); outgoing.len()],
        };
        let (mut verdicts, broken) = send_all(&channel, outgoing, deadline).await;
        for verdict in &mut verdicts {
            verdict.is_of_a_message(outgoing.len());
        }
        let unrouted = |verdict: &Verdict| matches!(verdict, Verdict::Unrouted);
        // An exchange that somebody deleted breaks the channel, a queue of delays that somebody deleted gives the message
        // back: the next publish makes it again.
        if broken || (needs.delays && verdicts.iter().any(unrouted)) {
            *lock(&self.declared) = Needs::default();
        }
        if !broken {
            lock(&self.idle).push(channel);
        }
        verdicts
    }

    async fn check_out(
        &self,
        operation: &'static str,
        needs: &Needs,
        deadline: Instant,
    ) -> Result<(Channel, SemaphorePermit<'_>), Error> {
        if self.closing.load(Ordering::Acquire) {
            return Err(closed(operation));
        }
        let permit = timeout_at(deadline, self.permits.acquire())
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, operation, "every channel stayed busy"))?
            .map_err(|_| closed(operation))?;
        loop {
            let channel = if let Some(channel) = self.idle() {
                channel
            } else {
                let channel = self.link.channel(operation, deadline).await?;
                let selected = channel.confirm_select(ConfirmSelectOptions::default());
                match timeout_at(deadline, selected).await {
                    Ok(Ok(())) => channel,
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "a new channel broke");
                        continue;
                    }
                    Err(_) => return Err(silent(operation)),
                }
            };
            let declared = timeout_at(deadline, self.declare(&channel, needs)).await;
            match declared.map_err(|_| silent(operation))? {
                Ok(()) => return Ok((channel, permit)),
                Err(error) if Instant::now() >= deadline || error.is_amqp_soft_error() => {
                    return Err(Trouble::connection(error).error(operation));
                }
                Err(error) => tracing::debug!(%error, "a channel broke before the publish"),
            }
        }
    }

    fn idle(&self) -> Option<Channel> {
        let mut idle = lock(&self.idle);
        std::iter::from_fn(|| idle.pop()).find(|channel| channel.status().connected())
    }

    async fn declare(&self, channel: &Channel, needs: &Needs) -> lapin::Result<()> {
        let missing = needs.unless(&lock(&self.declared));
        if missing.is_empty() {
            return Ok(());
        }
        for topic in missing.topics {
            declare_exchange(channel, &topic).await?;
            lock(&self.declared).topics.insert(topic);
        }
        if missing.delays {
            delay::declare(channel).await?;
            lock(&self.declared).delays = true;
        }
        for topic in missing.later {
            delay::declare_topic(channel, &topic).await?;
            lock(&self.declared).later.insert(topic);
        }
        Ok(())
    }

    /// Takes no more messages, and waits for the confirms of those on their way.
    pub(super) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        self.closing.store(true, Ordering::Release);
        let all = timeout_at(deadline, self.permits.acquire_many(CHANNELS)).await;
        self.permits.close();
        lock(&self.idle).clear();
        match all {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                "close",
                "some publishes were not confirmed in time",
            )),
        }
    }
}

/// Sends without waiting for the confirms of what was sent before, as long as not too many are missing. Also says whether
/// the channel broke.
async fn send_all(
    channel: &Channel,
    outgoing: &[Outgoing],
    deadline: Instant,
) -> (Vec<Verdict>, bool) {
    let mut verdicts = Vec::with_capacity(outgoing.len());
    let mut sent = VecDeque::with_capacity(outgoing.len().min(WINDOW));
    let mut returned = Vec::new();
    let mut broken = None;
    for message in outgoing {
        if sent.len() == WINDOW
            && let Some(oldest) = sent.pop_front()
        {
            verdicts.push(confirmed(oldest, deadline, &mut returned, &mut broken).await);
        }
        sent.push_back(send_one(channel, message, deadline, &mut broken).await);
    }
    for oldest in sent {
        verdicts.push(confirmed(oldest, deadline, &mut returned, &mut broken).await);
    }
    if !returned.is_empty() {
        mark_returned(&returned, outgoing, &mut verdicts);
    }
    (verdicts, broken.is_some())
}

async fn send_one(
    channel: &Channel,
    message: &Outgoing,
    deadline: Instant,
    broken: &mut Option<Trouble>,
) -> Result<PublisherConfirm, Verdict> {
    if let Some(trouble) = broken {
        return Err(Verdict::Failed(trouble.clone()));
    }
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let publish = channel.basic_publish(
        message.exchange.clone(),
        message.routing_key.clone(),
        mandatory,
        &message.body,
        message.properties.clone(),
    );
    match timeout_at(deadline, publish).await {
        Ok(Ok(confirm)) => Ok(confirm),
        Ok(Err(error)) => {
            let certain = was_not_sent(&error);
            let trouble = broken.insert(Trouble::connection(error)).clone();
            Err(if certain {
                Verdict::Failed(trouble)
            } else {
                Verdict::Unknown(trouble)
            })
        }
        Err(_) => Err(Verdict::Unknown(broken.insert(Trouble::late()).clone())),
    }
}

async fn confirmed(
    sent: Result<PublisherConfirm, Verdict>,
    deadline: Instant,
    returned: &mut Vec<BasicReturnMessage>,
    broken: &mut Option<Trouble>,
) -> Verdict {
    let confirm = match sent {
        Ok(confirm) => confirm,
        Err(verdict) => return verdict,
    };
    match timeout_at(deadline, confirm).await {
        Ok(Ok(Confirmation::Ack(back))) => {
            returned.extend(back);
            Verdict::Confirmed
        }
        // One of the queues refused; others may have it.
        Ok(Ok(Confirmation::Nack(back))) => {
            returned.extend(back);
            Verdict::Unknown(Trouble::new(ErrorKind::Unavailable, "a queue refused it"))
        }
        Ok(Ok(Confirmation::NotRequested)) => Verdict::Unknown(Trouble::new(
            ErrorKind::Backend,
            "the channel has no confirms",
        )),
        Ok(Err(error)) => Verdict::Unknown(broken.insert(Trouble::connection(error)).clone()),
        Err(_) => Verdict::Unknown(broken.insert(Trouble::late()).clone()),
    }
}

/// The client attaches a returned message to whichever confirm it completes first, which need not be its own.
fn mark_returned(returned: &[BasicReturnMessage], outgoing: &[Outgoing], verdicts: &mut [Verdict]) {
    let mut sent: HashMap<_, VecDeque<usize>> = HashMap::new();
    for (at, message) in outgoing.iter().enumerate() {
        let id = message.properties.message_id();
        let same = sent.entry((&message.exchange, &message.routing_key, id));
        same.or_default().push_back(at);
    }
    for message in returned {
        let id = message.properties.message_id();
        let same = sent.get_mut(&(&message.exchange, &message.routing_key, id));
        match same.and_then(VecDeque::pop_front) {
            Some(at) => verdicts[at] = Verdict::Unrouted,
            None => {
                tracing::error!(exchange = %message.exchange, "a message came back that was not sent here");
            }
        }
    }
}

/// Refused by the client itself, which saw that the channel is gone.
fn was_not_sent(error: &lapin::Error) -> bool {
    matches!(
        error.kind(),
        lapin::ErrorKind::InvalidChannel(_)
            | lapin::ErrorKind::InvalidChannelState(..)
            | lapin::ErrorKind::InvalidConnectionState(_)
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn silent(operation: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, operation, "RabbitMQ does not answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::message::Delivery;
    use lapin::protocol::AMQPError;

    fn outgoing(id: &str) -> Outgoing {
        Outgoing {
            exchange: "orders".into(),
            routing_key: "created".into(),
            properties: BasicProperties::default().with_message_id(id.into()),
            body: Bytes::new(),
        }
    }

    fn returned(id: &str) -> BasicReturnMessage {
        let mut delivery = Delivery::mock(0, "orders".into(), "created".into(), false, Vec::new());
        delivery.properties = BasicProperties::default().with_message_id(id.into());
        BasicReturnMessage {
            delivery,
            reply_code: 312,
            reply_text: "NO_ROUTE".into(),
        }
    }

    fn refused(code: AMQPSoftError) -> Trouble {
        let error = AMQPError::new(code.into(), "no".into());
        Trouble::connection(lapin::ErrorKind::ProtocolError(error).into())
    }

    #[test]
    fn what_somebody_has_to_mend_is_no_passing_trouble() {
        for (code, kind) in [
            (AMQPSoftError::ACCESSREFUSED, ErrorKind::Config),
            (AMQPSoftError::PRECONDITIONFAILED, ErrorKind::Config),
            // Somebody deleted the exchange: it is made again.
            (AMQPSoftError::NOTFOUND, ErrorKind::Unavailable),
        ] {
            let error = refused(code).error("publish");
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.is_retryable(), kind == ErrorKind::Unavailable);
        }
    }

    #[test]
    fn a_message_that_the_broker_refuses_is_told_where_it_is_alone() {
        let kind = |code: AMQPSoftError, sent| {
            let mut verdict = Verdict::Unknown(refused(code));
            verdict.is_of_a_message(sent);
            match verdict {
                Verdict::Unknown(trouble) => trouble.kind,
                verdict => panic!("{verdict:?}"),
            }
        };
        let (large, forbidden) = (
            AMQPSoftError::PRECONDITIONFAILED,
            AMQPSoftError::ACCESSREFUSED,
        );
        assert_eq!(kind(large.clone(), 1), ErrorKind::Message);
        assert_eq!(kind(large, 2), ErrorKind::Unavailable);
        assert_eq!(kind(forbidden, 2), ErrorKind::Config, "of the exchange");
    }

    #[test]
    fn a_returned_message_is_found_by_what_it_is() {
        let window = [outgoing("a"), outgoing("b"), outgoing("b"), outgoing("c")];
        let mut verdicts = vec![Verdict::Confirmed; 4];
        let returned = ["b", "b", "unknown"].map(returned);
        mark_returned(&returned, &window, &mut verdicts);
        let unrouted: Vec<bool> = verdicts
            .iter()
            .map(|verdict| matches!(verdict, Verdict::Unrouted))
            .collect();
        assert_eq!(unrouted, [false, true, true, false]);
    }
}
