//! Which handler takes which event.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use commerce_contracts::{Contract, DecodeError};
use commerce_event_bus::{Message, TopicName};
use futures_util::future::BoxFuture;

use crate::emit::Emit;
use crate::extract::Context;
use crate::failure::Failure;
use crate::handler::Handler;

type Run<S> = Arc<dyn Fn(Context<S>) -> BoxFuture<'static, Result<Emit, Failure>> + Send + Sync>;

/// The handlers of one consumer, by topic and type of event.
pub(crate) struct Routes<S> {
    topics: BTreeMap<TopicName, Topic<S>>,
    needs_inbox: bool,
    /// Whether a version that no handler reads is nobody's concern.
    pub(crate) ignores_unknown_versions: bool,
    /// What is wrong with the routes: reported all at once when the consumer starts.
    pub(crate) mistakes: Vec<String>,
}

struct Topic<S> {
    typed: HashMap<&'static str, Route<S>>,
    /// The newest contract of each name that has a typed handler: it tells a version that nobody reads from another event.
    known: HashMap<&'static str, &'static Contract>,
    /// For the events that no typed handler takes.
    rest: Option<Run<S>>,
}

/// The handler of one version of an event.
struct Route<S> {
    run: Run<S>,
    /// It is the version that the handler names, and not one that is upcast for it.
    is_own: bool,
}

/// What becomes of a message.
pub(crate) enum Found<'a, S> {
    /// A handler takes it.
    Handler(&'a Run<S>),
    /// Typed handlers take its event, and none of them this version, or what is written where a version is; why.
    UnknownVersion(DecodeError),
}

impl<S: Send + Sync + 'static> Routes<S> {
    pub(crate) fn new() -> Self {
        Self {
            topics: BTreeMap::new(),
            needs_inbox: false,
            ignores_unknown_versions: false,
            mistakes: Vec::new(),
        }
    }

    /// Adds a handler for one event, in its version and in those that are upcast to it.
    ///
    /// A handler of exactly a version comes before one that it is upcast for: who keeps a handler for old events beside the one
    /// for new events means it.
    pub(crate) fn add<A, H: Handler<A, S>>(&mut self, contract: &'static Contract, handler: H) {
        let run = self.run(handler);
        for version in contract.versions() {
            let event_type = version.event_type();
            let is_own = std::ptr::eq(version, contract);
            let Some(topic) = self.topic(version.topic()) else {
                continue;
            };
            let known = topic.known.entry(contract.name()).or_insert(contract);
            if known.version() < contract.version() {
                *known = contract;
            }
            match topic.typed.get(event_type) {
                Some(other) if other.is_own == is_own => self
                    .mistakes
                    .push(format!("two handlers take {event_type}")),
                Some(other) if other.is_own => {}
                _ => {
                    let run = Arc::clone(&run);
                    topic.typed.insert(event_type, Route { run, is_own });
                }
            }
        }
    }

    /// Adds a handler for all that is left of a topic.
    pub(crate) fn add_rest<A, H: Handler<A, S>>(&mut self, topic: &str, handler: H) {
        let run = self.run(handler);
        let replaced = self.topic(topic).and_then(|topic| topic.rest.replace(run));
        if replaced.is_some() {
            self.mistakes
                .push("two handlers take all other events of the topic".to_owned());
        }
    }

    fn run<A, H: Handler<A, S>>(&mut self, handler: H) -> Run<S> {
        self.needs_inbox |= H::NEEDS_INBOX;
        Arc::new(move |context| Box::pin(handler.clone().call(context)))
    }

    /// The handlers of a topic; a name that is none is noted as a mistake.
    fn topic(&mut self, name: &str) -> Option<&mut Topic<S>> {
        match TopicName::new(name) {
            Ok(name) => Some(self.topics.entry(name).or_insert_with(|| Topic {
                typed: HashMap::new(),
                known: HashMap::new(),
                rest: None,
            })),
            Err(error) => {
                self.mistakes.push(error.to_string());
                None
            }
        }
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.topics.keys()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn needs_inbox(&self) -> bool {
        self.needs_inbox
    }

    /// What takes a message; None when it is of no concern here.
    pub(crate) fn find(&self, message: &Message) -> Option<Found<'_, S>> {
        let topic = self.topics.get(&message.topic)?;
        let event_type = message.event.event_type();
        let handler = topic.typed.get(event_type).map(|route| &route.run);
        if let Some(run) = handler.or(topic.rest.as_ref()) {
            return Some(Found::Handler(run));
        }
        if self.ignores_unknown_versions {
            return None;
        }
        // Also a version that is written in a way of its own is of the event that its name begins with.
        let known = topic.known.iter();
        known
            .filter(|(name, _)| event_type.starts_with(**name))
            .find_map(|(_, contract)| match contract.version_of(event_type) {
                Err(
                    refusal @ (DecodeError::UnknownVersion { .. }
                    | DecodeError::MalformedVersion { .. }),
                ) => Some(Found::UnknownVersion(refusal)),
                _ => None,
            })
    }
}
