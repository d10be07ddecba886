//! Consumers as tasks of a host.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use commerce_consumer_framework::{Call, Consumer, Failure, Stats};
use commerce_event_bus::TopicName;
use futures_util::future::BoxFuture;
use tower::layer::layer_fn;
use tower::util::BoxCloneSyncService;

use crate::health::consumption::Consumption;
use crate::health::tasks::Task;
use crate::shutdown::Shutdown;

/// The service that handles the calls of a consumer, as tower layers see it.
pub type Handle = BoxCloneSyncService<Call, (), Failure>;

/// Puts something around the handlers of the consumer of that name.
pub(crate) type Around = Arc<dyn Fn(&str, Handle) -> Handle + Send + Sync>;

/// A consumer that can be started again.
pub(crate) struct ConsumerTask {
    name: String,
    topics: Vec<TopicName>,
    stats: Arc<Stats>,
    run: Box<dyn Fn(Start) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>,
}

struct Start {
    consumption: Arc<Consumption>,
    around: Option<Around>,
    drain_within: Duration,
    shutdown: Shutdown,
}

impl ConsumerTask {
    pub(crate) fn new<S, F>(make: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn() -> Consumer<S> + Send + Sync + 'static,
    {
        let first = make();
        let name = first.name().to_owned();
        let topics = first.topics().cloned().collect();
        let stats = first.stats();
        // The first start takes the one whose counters are known already.
        let first = Mutex::new(Some(first));
        let run = move |start: Start| -> BoxFuture<'static, anyhow::Result<()>> {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut consumer = first.unwrap_or_else(&make).drain_within(start.drain_within);
            start.consumption.started(consumer.stats());
            if let Some(around) = start.around {
                let name = consumer.name().to_owned();
                consumer = consumer.layer(layer_fn(move |inner| around(&name, inner)));
            }
            Box::pin(async move {
                let drained = tokio::select! {
                    drained = consumer.run_until(start.shutdown.requested()) => drained?,
                    // The consumer is dropped where it stands.
                    () = start.consumption.aborted() => anyhow::bail!("aborted, as was asked for"),
                };
                anyhow::ensure!(
                    drained.clean,
                    "events under way were given back to the bus: time was up"
                );
                Ok(())
            })
        };
        Self {
            name,
            topics,
            stats,
            run: Box::new(run),
        }
    }

    /// The task that runs it, and what is known about it meanwhile.
    pub(crate) fn into_task(
        self,
        around: Option<Around>,
        drain_within: Duration,
    ) -> (Task, Arc<Consumption>) {
        let consumption = Consumption::new(&self.name, self.topics, self.stats);
        let state = consumption.clone();
        let run = self.run;
        let task = Task::new(format!("consumer {}", self.name), move |shutdown| {
            run(Start {
                consumption: state.clone(),
                around: around.clone(),
                drain_within,
                shutdown,
            })
        });
        (task, consumption)
    }
}

impl fmt::Debug for ConsumerTask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConsumerTask")
            .field("name", &self.name)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
