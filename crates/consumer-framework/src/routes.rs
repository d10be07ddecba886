//! Which handler takes which event.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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
    /// What is wrong with the routes: reported all at once when the consumer starts.
    pub(crate) mistakes: Vec<String>,
}

struct Topic<S> {
    typed: HashMap<&'static str, Run<S>>,
    /// For the events that no typed handler takes.
    rest: Option<Run<S>>,
}

impl<S: Send + Sync + 'static> Routes<S> {
    pub(crate) fn new() -> Self {
        Self {
            topics: BTreeMap::new(),
            needs_inbox: false,
            mistakes: Vec::new(),
        }
    }

    /// Adds a handler for one type of event, or for all that is left of a topic.
    pub(crate) fn add<A, H: Handler<A, S>>(
        &mut self,
        topic: &str,
        event_type: Option<&'static str>,
        handler: H,
    ) {
        let name = match TopicName::new(topic) {
            Ok(name) => name,
            Err(error) => return self.mistakes.push(error.to_string()),
        };
        self.needs_inbox |= H::NEEDS_INBOX;
        let run: Run<S> = Arc::new(move |context| Box::pin(handler.clone().call(context)));
        let topic = self.topics.entry(name).or_insert_with(|| Topic {
            typed: HashMap::new(),
            rest: None,
        });
        let (replaced, what) = match event_type {
            Some(event_type) => (topic.typed.insert(event_type, run), event_type),
            None => (topic.rest.replace(run), "all other events of the topic"),
        };
        if replaced.is_some() {
            self.mistakes.push(format!("two handlers take {what}"));
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

    /// The handler for a message, if one takes it.
    pub(crate) fn find(&self, message: &Message) -> Option<&Run<S>> {
        let topic = self.topics.get(&message.topic)?;
        topic
            .typed
            .get(message.event.event_type())
            .or(topic.rest.as_ref())
    }
}
