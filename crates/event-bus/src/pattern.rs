//! Several topics by one pattern of their names.

use std::collections::HashSet;
use std::fmt;
use std::future::pending;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::{Instant, sleep_until};

use crate::bus::EventBus;
use crate::delivery::Delivery;
use crate::error::Error;
use crate::name::{NameError, TopicName};
use crate::subscriber::Subscriber;
use crate::subscription::{Start, Subscription};

/// How often new topics are looked for.
const LOOK: Duration = Duration::from_secs(5);

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

/// One member of the subscriptions to all topics that match a pattern, those included that are made later: they are
/// looked for every five seconds. Bounds hold for each topic.
pub struct PatternSubscriber {
    bus: EventBus,
    pattern: TopicPattern,
    make: Box<Make>,
    members: Vec<Subscriber>,
    known: HashSet<TopicName>,
    look_at: Instant,
    /// Which member is asked first, so that a busy one does not starve the others.
    turn: usize,
}

impl PatternSubscriber {
    pub(crate) async fn new(
        bus: EventBus,
        pattern: TopicPattern,
        make: Box<Make>,
    ) -> Result<Self, Error> {
        let mut subscriber = Self {
            bus,
            pattern,
            make,
            members: Vec::new(),
            known: HashSet::new(),
            look_at: Instant::now(),
            turn: 0,
        };
        subscriber.look(|start| start).await?;
        Ok(subscriber)
    }

    /// The topics that are followed now.
    pub fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.known.iter()
    }

    /// Waits for the next delivery of any of the topics; `None` once the bus is closed. Cancel safe. An error does not end
    /// it: the next call goes on.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        loop {
            if Instant::now() >= self.look_at {
                // A topic that was made since the last look is followed from its beginning: nothing falls in between.
                self.look(|_| Start::Earliest).await?;
            }
            let look_at = self.look_at;
            let (at, next) = tokio::select! {
                next = any_of(&mut self.members, self.turn) => next,
                () = sleep_until(look_at) => continue,
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

    async fn look(&mut self, start: impl Fn(Start) -> Start) -> Result<(), Error> {
        let topics = self.bus.backend().topics().await?;
        let new = topics
            .into_iter()
            .filter(|topic| self.pattern.matches(topic) && !self.known.contains(topic));
        for topic in new.collect::<Vec<_>>() {
            let mut subscription = (self.make)(topic.clone());
            subscription.start = start(subscription.start);
            self.members.push(self.bus.subscribe(subscription).await?);
            self.known.insert(topic);
        }
        self.look_at = Instant::now() + LOOK;
        Ok(())
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
    use super::*;

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
