//! Several topics by one pattern of their names.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::pending;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::select_all;
use futures_util::stream::{self, BoxStream};
use tokio::time::{Instant, sleep_until};

use crate::bus::EventBus;
use crate::delivery::Delivery;
use crate::error::{Error, ErrorKind};
use crate::name::{NameError, TopicName};
use crate::subscriber::Subscriber;
use crate::subscription::{Start, Subscription};

/// How often new topics are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// How many new topics are subscribed to at a time.
const AT_ONCE: usize = 16;

/// Which topics, by the parts of their names between the dots: `*` is any one part, `**` at the end is one or more.
///
/// ```
/// use commerce_event_bus::{TopicName, TopicPattern};
/// let pattern: TopicPattern = "orders.*.placed".parse()?;
/// assert!(pattern.matches(&TopicName::new("orders.br.placed")?));
/// assert!(!pattern.matches(&TopicName::new("orders.placed")?));
/// assert!("orders.**".parse::<TopicPattern>()?.matches(&TopicName::new("orders.br.placed")?));
/// # Ok::<(), commerce_event_bus::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicPattern(Arc<str>);

impl TopicPattern {
    /// Checks a pattern: a topic's name in which some parts are `*`, and the last may be `**`.
    pub fn new(pattern: impl AsRef<str>) -> Result<Self, NameError> {
        let pattern = pattern.as_ref();
        let last = pattern.split('.').count() - 1;
        let part = |(at, part): (usize, &str)| match part {
            "*" => "x".to_owned(),
            "**" if at == last => "x".to_owned(),
            part => part.to_owned(),
        };
        // With its wildcards filled in it must be a name.
        let sample: Vec<String> = pattern.split('.').enumerate().map(part).collect();
        TopicName::new(sample.join("."))
            .map_err(|error| error.of("topic pattern", pattern))
            .map(|_| Self(pattern.into()))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the topic is one of them.
    pub fn matches(&self, topic: &TopicName) -> bool {
        let mut parts = topic.as_str().split('.');
        for wanted in self.0.split('.') {
            match (wanted, parts.next()) {
                ("**", Some(_)) => return true,
                (wanted, Some(part)) if wanted == "*" || wanted == part => {}
                _ => return false,
            }
        }
        parts.next().is_none()
    }
}

impl FromStr for TopicPattern {
    type Err = NameError;
    fn from_str(pattern: &str) -> Result<Self, NameError> {
        Self::new(pattern)
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

type Make = dyn Fn(TopicName) -> Subscription + Send + Sync;

/// What a look for new topics finds, one after the other.
enum Found {
    Joined(TopicName, Box<Subscriber>),
    Refused(TopicName, Error),
    /// The topics could not be listed.
    Unlisted(Error),
}

/// One member of the subscriptions to all topics that match a pattern, those included that are made later: they are
/// looked for every five seconds. Bounds hold for each topic.
pub struct PatternSubscriber {
    bus: EventBus,
    pattern: TopicPattern,
    make: Arc<Make>,
    members: Vec<Subscriber>,
    known: HashSet<TopicName>,
    /// What could not be subscribed to, and why: told once, tried again with every look.
    refused: HashMap<TopicName, ErrorKind>,
    /// The look that goes on, polled beside the members: a slow one holds nobody up, and a cancelled `next` goes on with
    /// it.
    look: Option<BoxStream<'static, Found>>,
    look_at: Instant,
    /// Which member is asked first, so that a busy one does not starve the others.
    turn: usize,
}

impl PatternSubscriber {
    pub(crate) async fn new(
        bus: EventBus,
        pattern: TopicPattern,
        make: Arc<Make>,
    ) -> Result<Self, Error> {
        let mut subscriber = Self {
            bus,
            pattern,
            make,
            members: Vec::new(),
            known: HashSet::new(),
            refused: HashMap::new(),
            look: None,
            look_at: Instant::now() + LOOK,
            turn: 0,
        };
        let mut look = subscriber.look(|start| start);
        while let Some(found) = look.next().await {
            // Whoever subscribes is there to be told.
            subscriber.take(found)?;
        }
        Ok(subscriber)
    }

    /// The topics that are followed now.
    pub fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.known.iter()
    }

    /// Waits for the next delivery of any of the topics; `None` once the bus is closed. Cancel safe. An error does not end
    /// it: the next call goes on. A later topic that cannot be subscribed to is such an error, once; the others are
    /// followed meanwhile, and it is tried again with every look.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        loop {
            if self.look.is_none() && Instant::now() >= self.look_at {
                self.look_at = Instant::now() + LOOK;
                // A topic that was made since the last look is followed from its beginning: nothing falls in between.
                self.look = Some(self.look(|_| Start::Earliest));
            }
            let (look_at, looks) = (self.look_at, self.look.is_some());
            let (at, next) = tokio::select! {
                next = any_of(&mut self.members, self.turn) => next,
                found = found(&mut self.look) => {
                    match found.map(|found| self.take(found)) {
                        None => self.look = None,
                        Some(Ok(())) => {}
                        Some(Err(error)) if error.kind() == ErrorKind::Closed => return Ok(None),
                        Some(Err(error)) => return Err(error),
                    }
                    continue;
                }
                () = sleep_until(look_at), if !looks => continue,
            };
            self.turn = at + 1;
            match next {
                // It ends because the bus was closed, and so do the others.
                Ok(None) => return Ok(None),
                next => return next,
            }
        }
    }

    /// Leaves all the subscriptions. What was fetched ahead goes back.
    pub async fn close(self) {
        for member in self.members {
            member.close().await;
        }
    }

    fn look(&self, start: impl Fn(Start) -> Start + Send + 'static) -> BoxStream<'static, Found> {
        let (bus, make) = (self.bus.clone(), Arc::clone(&self.make));
        let (pattern, known) = (self.pattern.clone(), self.known.clone());
        let listing = Arc::clone(bus.backend());
        // Who follows a topic is told by it that the bus is closed; who follows none has to ask.
        let is_alone = known.is_empty();
        let topics = async move {
            if is_alone
                && let Err(error) = listing.check().await
                && error.kind() == ErrorKind::Closed
            {
                return Err(error);
            }
            listing.topics().await
        };
        stream::once(topics)
            .flat_map(move |topics| {
                let topics = match topics {
                    Ok(topics) => topics,
                    Err(error) => return stream::iter([Found::Unlisted(error)]).boxed(),
                };
                let new = topics
                    .into_iter()
                    .filter(|topic| pattern.matches(topic) && !known.contains(topic))
                    .map(|topic| {
                        let mut subscription = make(topic.clone());
                        subscription.start = start(subscription.start);
                        join(bus.clone(), topic, subscription)
                    });
                stream::iter(new.collect::<Vec<_>>())
                    .buffer_unordered(AT_ONCE)
                    .boxed()
            })
            .boxed()
    }

    fn take(&mut self, found: Found) -> Result<(), Error> {
        match found {
            Found::Joined(topic, subscriber) => {
                self.refused.remove(&topic);
                self.members.push(*subscriber);
                self.known.insert(topic);
                Ok(())
            }
            Found::Refused(topic, error) => {
                let kind = error.kind();
                let problem = format!("topic {topic} matches {} but: {error}", self.pattern);
                if self.refused.insert(topic, kind) == Some(kind) {
                    return Ok(());
                }
                let retryable = error.is_retryable();
                Err(Error::new(kind, "subscribe", problem)
                    .with_retryable(retryable)
                    .with_source(error))
            }
            Found::Unlisted(error) => Err(error),
        }
    }
}

async fn join(bus: EventBus, topic: TopicName, subscription: Subscription) -> Found {
    match bus.subscribe(subscription).await {
        Ok(subscriber) => Found::Joined(topic, Box::new(subscriber)),
        Err(error) => Found::Refused(topic, error),
    }
}

/// What the look finds next; `None` at its end. Never, while there is no look.
async fn found(look: &mut Option<BoxStream<'static, Found>>) -> Option<Found> {
    match look {
        Some(look) => look.next().await,
        None => pending().await,
    }
}

/// The first member that has something, beginning with the one whose turn it is; never, when there are none.
async fn any_of(
    members: &mut [Subscriber],
    turn: usize,
) -> (usize, Result<Option<Delivery>, Error>) {
    if members.is_empty() {
        return pending().await;
    }
    let count = members.len();
    let turn = turn % count;
    let (before, from) = members.split_at_mut(turn);
    let in_turn = from.iter_mut().chain(before);
    let (next, at, _) = select_all(in_turn.map(|member| Box::pin(member.next()))).await;
    ((turn + at) % count, next)
}

impl fmt::Debug for PatternSubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatternSubscriber")
            .field("pattern", &self.pattern)
            .field("topics", &self.known)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use commerce_contracts::CloudEvent;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::backend::{Backend, Feed};
    use crate::decorator::Decorator;
    use crate::message::Message;
    use crate::name::SubscriptionName;

    const REFUSED: &str = "orders.refused";
    /// How long a look takes.
    const SLOW: Duration = Duration::from_millis(200);

    /// A backend that lists its topics slowly, and that cannot subscribe to one of them.
    #[derive(Debug)]
    struct Reluctant(EventBus);

    #[async_trait]
    impl Decorator for Reluctant {
        fn inner(&self) -> &dyn Backend {
            self.0.backend().as_ref()
        }

        async fn topics(&self) -> Result<Vec<TopicName>, Error> {
            sleep(SLOW).await;
            self.inner().topics().await
        }

        async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
            if subscription.topic.as_str() == REFUSED {
                let problem = "the name is too long";
                return Err(Error::new(ErrorKind::Config, "subscribe", problem));
            }
            self.inner().subscribe(subscription).await
        }
    }

    async fn publish(bus: &EventBus, topic: &str) {
        let event = CloudEvent::new("/test", "test.pattern.run.v1").unwrap();
        let message = Message::new(TopicName::new(topic).unwrap(), event);
        bus.publish(message).await.unwrap();
    }

    async fn follower(bus: &EventBus) -> Result<PatternSubscriber, Error> {
        let name = SubscriptionName::new("audit").unwrap();
        let make = move |topic| Subscription::new(topic, name.clone());
        bus.subscribe_matching("orders.*".parse().unwrap(), make)
            .await
    }

    /// The topics of so many deliveries, each acked, and the errors that were told in between. Every call of `next` is
    /// cancelled long before a look is over.
    async fn follow(from: &mut PatternSubscriber, count: usize) -> (Vec<String>, Vec<String>) {
        let (mut topics, mut errors) = (Vec::new(), Vec::new());
        let following = async {
            while topics.len() < count {
                match timeout(SLOW / 4, from.next()).await {
                    Ok(Ok(delivery)) => {
                        let delivery = delivery.expect("the bus is open");
                        topics.push(delivery.message().topic.as_str().to_owned());
                        delivery.ack().await.unwrap();
                    }
                    Ok(Err(error)) => errors.push(error.to_string()),
                    Err(_) => {}
                }
            }
        };
        timeout(LOOK * 4, following).await.expect("it starves");
        (topics, errors)
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_that_is_refused_later_holds_no_other_up() {
        let bus = EventBus::new(Arc::new(Reluctant(EventBus::memory())));
        publish(&bus, "orders.one").await;
        let mut all = follower(&bus).await.unwrap();
        assert_eq!(follow(&mut all, 1).await.0, ["orders.one"]);
        publish(&bus, REFUSED).await;
        publish(&bus, "orders.two").await;
        let (topics, errors) = follow(&mut all, 1).await;
        assert_eq!(topics, ["orders.two"]);
        sleep(LOOK * 2).await;
        publish(&bus, "orders.one").await;
        publish(&bus, "orders.three").await;
        let (topics, more) = follow(&mut all, 2).await;
        assert_eq!(topics, ["orders.one", "orders.three"]);
        let errors = [errors, more].concat();
        assert_eq!(errors.len(), 1, "told once: {errors:?}");
        assert!(errors[0].contains(REFUSED), "{errors:?}");
        assert!(errors[0].contains("the name is too long"), "{errors:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_that_is_refused_at_the_start_is_told_at_once() {
        let bus = EventBus::new(Arc::new(Reluctant(EventBus::memory())));
        publish(&bus, REFUSED).await;
        let error = follower(&bus).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(REFUSED), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_topic_it_ends_with_the_bus() {
        let bus = EventBus::memory();
        let mut none = follower(&bus).await.unwrap();
        bus.close(LOOK).await.unwrap();
        let ended = timeout(LOOK * 2, none.next()).await.expect("it waits on");
        assert!(matches!(ended, Ok(None)), "{ended:?}");
    }

    #[test]
    fn parts_match_parts() {
        for (pattern, topic, matches) in [
            ("orders", "orders", true),
            ("orders", "orders.br", false),
            ("*", "orders", true),
            ("*", "orders.br", false),
            ("**", "orders.br", true),
            ("orders.*", "orders.br", true),
            ("orders.*", "orders", false),
            ("orders.*", "payments.br", false),
            ("orders.**", "orders", false),
            ("orders.**", "orders.br.sp", true),
            ("*.placed", "orders.placed", true),
            ("*.placed", "orders.paid", false),
        ] {
            let topic = TopicName::new(topic).unwrap();
            let pattern = TopicPattern::new(pattern).unwrap();
            assert_eq!(pattern.matches(&topic), matches, "{pattern} {topic}");
        }
    }

    #[test]
    fn what_could_match_nothing_is_refused() {
        for wrong in ["", "Orders.*", "orders.**.placed", "orders..*", "ord*"] {
            let error = TopicPattern::new(wrong).unwrap_err();
            assert!(error.to_string().contains("topic pattern"), "{error}");
        }
    }
}
