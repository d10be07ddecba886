//! The consumer: its settings, and what becomes of them when it starts.

mod dispatch;
mod error;
mod intake;
mod processing;
mod running;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use commerce_contracts::avro::WriterSchemas;
use commerce_event_bus::{EventBus, SubscriptionName, TopicName};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service};

use self::dispatch::Dispatch;
pub use self::error::ConsumerError;
use self::processing::{Policy, Processor};
pub use self::running::Running;
use crate::backoff::Backoff;
use crate::call::Call;
use crate::drained::Drained;
use crate::failure::Failure;
use crate::handler::{BeginsWithEvent, Handler};
use crate::routes::Routes;
use crate::stats::Stats;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::storage::Database;

/// The service that handles calls, whatever layers are around it.
type Handle = BoxCloneSyncService<Call, (), Failure>;

/// What happens to an event whose last attempt has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnExhausted {
    /// It goes to the subscription's dead letters, and its key goes on.
    #[default]
    DeadLetter,
    /// The consumer stops with an error; the event stays where it is.
    Stop,
}

/// What happens to an event of which handlers read other versions only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnknownVersion {
    /// It goes to the subscription's dead letters with the versions that are read, and can be redriven once a consumer knows it.
    #[default]
    DeadLetter,
    /// It is acknowledged, as events that nobody takes: where a producer publishes each fact in several versions side by side.
    Ignore,
}

/// Consumes events: one bus subscription for each topic of its handlers, in order per key, different
/// keys at the same time.
///
/// The name is the subscription: consumers of the same name share the events, consumers of different
/// names each see all of them. Everything is checked when the consumer starts, before it subscribes.
#[must_use = "a consumer does nothing until it runs"]
pub struct Consumer<S = ()> {
    name: String,
    bus: EventBus,
    state: S,
    routes: Routes<S>,
    layers: Vec<Box<dyn FnOnce(Handle) -> Handle + Send>>,
    policy: Policy,
    concurrency: usize,
    drain_within: Duration,
    stats: Arc<Stats>,
    writers: WriterSchemas,
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    inbox: Option<Database>,
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    inbox_retention: Duration,
}

impl Consumer {
    /// A consumer without handlers. The name is that of its subscriptions.
    pub fn new(name: impl Into<String>, bus: EventBus) -> Self {
        Self {
            name: name.into(),
            bus,
            state: (),
            routes: Routes::new(),
            layers: Vec::new(),
            policy: Policy::default(),
            concurrency: 64,
            drain_within: Duration::from_secs(30),
            stats: Arc::default(),
            writers: WriterSchemas::new(),
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            inbox: None,
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            inbox_retention: Duration::from_hours(7 * 24),
        }
    }

    /// Gives the handlers a state, which they take as [`State<S>`](crate::State). Say it before the
    /// handlers.
    pub fn state<S: Clone + Send + Sync + 'static>(self, state: S) -> Consumer<S> {
        let mut routes = Routes::new();
        if !self.routes.is_empty() {
            routes
                .mistakes
                .push("state(…) comes after on(…): say it first".to_owned());
        }
        routes.mistakes.extend(self.routes.mistakes);
        routes.ignores_unknown_versions = self.routes.ignores_unknown_versions;
        Consumer {
            state,
            routes,
            name: self.name,
            bus: self.bus,
            layers: self.layers,
            policy: self.policy,
            concurrency: self.concurrency,
            drain_within: self.drain_within,
            stats: self.stats,
            writers: self.writers,
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            inbox: self.inbox,
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            inbox_retention: self.inbox_retention,
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Consumer<S> {
    /// Adds a handler for the events that its first argument, [`Event<E>`](crate::Event), names, in the version of `E` and in every
    /// version that is upcast to it. Where another handler takes exactly one of the older versions, that one gets it.
    ///
    /// Events of the same topic that no handler takes are acknowledged. A version of this event that no handler reads, most likely
    /// one from a producer that was deployed earlier than this consumer, is not: see [`on_unknown_version`](Self::on_unknown_version). Nor is
    /// a version that is not written as versions are, `….v03` or `….V3`.
    pub fn on<A: BeginsWithEvent, H: Handler<A, S>>(mut self, handler: H) -> Self {
        let contract = <A::Event as commerce_contracts::Event>::contract();
        self.routes.add(contract, handler);
        self
    }

    /// Adds a handler for all events of a topic that no other handler takes, whatever their type. It
    /// takes the event as it is, as [`CloudEvent`](commerce_contracts::CloudEvent) or
    /// [`Metadata`](crate::Metadata).
    ///
    /// That includes versions that no handler of [`on`](Self::on) reads: such a consumer has no unknown versions on this topic, and
    /// [`on_unknown_version`](Self::on_unknown_version) says nothing about them. Let another consumer watch the topic where that is not meant.
    pub fn on_topic<A, H: Handler<A, S>>(mut self, topic: &str, handler: H) -> Self {
        self.routes.add_rest(topic, handler);
        self
    }

    /// Lets every event have its effects once: the handler's writes (through [`Tx`](crate::Tx) or
    /// [`Begin`](crate::Begin)), the events it returns and the mark that the event was handled are
    /// committed in one transaction of this database. A duplicate is acknowledged without the handler.
    ///
    /// Events are published from there by an outbox [`Relay`](crate::outbox::Relay), which is started
    /// beside the consumers, once for each database.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub fn inbox(mut self, database: Database) -> Self {
        self.inbox = Some(database);
        self
    }

    /// How long an event is remembered as handled (7 days). It must be longer than the longest time
    /// after which the bus, or a person with the dead letters, delivers an event again.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub fn inbox_retention(mut self, retention: Duration) -> Self {
        self.inbox_retention = retention;
        self
    }

    /// The pauses between attempts and their number (eight, from 200 ms to 30 s). A pause delays the
    /// event's own key only.
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.policy.backoff = backoff;
        self
    }

    /// What happens to an event whose last attempt has failed (dead letter).
    pub fn on_exhausted(mut self, then: OnExhausted) -> Self {
        self.policy.on_exhausted = then;
        self
    }

    /// What happens to an event that a handler takes, in a version that no handler reads (dead letter).
    pub fn on_unknown_version(mut self, then: OnUnknownVersion) -> Self {
        self.routes.ignores_unknown_versions = then == OnUnknownVersion::Ignore;
        self
    }

    /// The Avro schemas by which events are written, beside those of the handlers' own types (none): those of producers that are deployed
    /// earlier or later than this consumer, whose build of a contract has a field more or less. An event of another schema goes to the
    /// dead letters. JSON needs none of this.
    pub fn writer_schemas(mut self, writers: WriterSchemas) -> Self {
        self.writers = writers;
        self
    }

    /// How many deliveries of each topic are handled at the same time (64).
    pub fn concurrency(mut self, deliveries: usize) -> Self {
        self.concurrency = deliveries.max(1);
        self
    }

    /// How long an attempt may take, layers included (60 s); then it is given up and counts as failed.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.policy.handler_timeout = timeout;
        self
    }

    /// How long deliveries under way may take to end when the consumer stops (30 s); what is not done
    /// by then is given back to the bus.
    pub fn drain_within(mut self, within: Duration) -> Self {
        self.drain_within = within;
        self
    }

    /// Puts a tower layer around the handlers; the last one added is outermost. Around every
    /// attempt, it sees the [`Call`] and the outcome, and is inside of timeout and retry.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<BoxCloneSyncService<Call, (), Failure>> + Send + 'static,
        L::Service: Service<Call, Response = (), Error = Failure> + Clone + Send + Sync + 'static,
        <L::Service as Service<Call>>::Future: Send + 'static,
    {
        let wrap = move |inner| BoxCloneSyncService::new(layer.layer(inner));
        self.layers.push(Box::new(wrap));
        self
    }

    /// The name, which is that of its subscriptions.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The topics of its handlers: it subscribes to each of them.
    pub fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.routes.topics()
    }

    /// The counters, to be kept before the consumer runs.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Checks the settings and subscribes: from here on the bus keeps events for this consumer. They
    /// are handled once the result [runs](Running::run_until).
    pub async fn start(self) -> Result<Running, ConsumerError> {
        let subscription = self.check()?;
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        if let Some(database) = &self.inbox {
            database.install().await.map_err(ConsumerError::Storage)?;
        }
        let topics: Vec<_> = self.routes.topics().cloned().collect();
        let routes = Arc::new(self.routes);
        let dispatch = Dispatch {
            routes: Arc::clone(&routes),
            state: self.state,
            bus: self.bus.clone(),
            stats: Arc::clone(&self.stats),
            writers: self.writers,
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            inbox: self.inbox.clone(),
        };
        let handle = self
            .layers
            .into_iter()
            .fold(BoxCloneSyncService::new(dispatch), |inner, wrap| {
                wrap(inner)
            });
        let processor = Processor::new(
            subscription.clone(),
            self.bus.backend().name(),
            Box::new(move |message| routes.find(message).is_some()),
            handle,
            self.policy,
            self.stats,
        );
        let mut running = Running::new(processor, self.concurrency, self.drain_within);
        for topic in topics {
            running
                .subscribe(&self.bus, topic, subscription.clone())
                .await?;
        }
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        if let Some(database) = self.inbox {
            running.keep_inbox(database, subscription.as_str(), self.inbox_retention);
        }
        Ok(running)
    }

    /// Starts and runs until `shutdown` is ready, then finishes what is under way.
    ///
    /// # Errors
    /// A wrong setting, a subscription that cannot be made or is lost, an exhausted event where that
    /// [stops](OnExhausted::Stop) the consumer. Nothing is lost by an error: start another one.
    pub async fn run_until(
        self,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<Drained, ConsumerError> {
        self.start().await?.run_until(shutdown).await
    }

    /// All mistakes at once.
    fn check(&self) -> Result<SubscriptionName, ConsumerError> {
        let name = SubscriptionName::new(&self.name);
        let mut mistakes = self.routes.mistakes.clone();
        if let Err(error) = &name {
            mistakes.push(error.to_string());
        }
        if self.routes.is_empty() && mistakes.is_empty() {
            mistakes.push("it has no handler: add one with on(…)".to_owned());
        }
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        let has_inbox = self.inbox.is_some();
        #[cfg(not(any(feature = "sqlite", feature = "postgres")))]
        let has_inbox = false;
        if self.routes.needs_inbox() && !has_inbox {
            mistakes.push(
                "a handler takes a transaction: give the consumer a database with inbox(…)"
                    .to_owned(),
            );
        }
        match name {
            Ok(name) if mistakes.is_empty() => Ok(name),
            _ => Err(ConsumerError::Configuration {
                consumer: self.name.clone(),
                mistakes,
            }),
        }
    }
}

impl<S> fmt::Debug for Consumer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
