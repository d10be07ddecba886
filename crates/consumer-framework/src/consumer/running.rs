//! A consumer that has subscribed.

use std::sync::Arc;
use std::time::Duration;

use commerce_event_bus::{EventBus, Subscription, SubscriptionName, TopicName};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ConsumerError;
use super::intake::Intake;
use super::processing::Processor;
use crate::drained::Drained;

/// A consumer that has subscribed and does not handle events yet.
#[derive(Debug)]
#[must_use = "events are handled while it runs"]
pub struct Running {
    processor: Arc<Processor>,
    concurrency: usize,
    drain_within: Duration,
    intakes: Vec<Intake>,
    /// What is done beside: aborted at the end.
    chores: JoinSet<()>,
}

impl Running {
    pub(super) fn new(processor: Processor, concurrency: usize, drain_within: Duration) -> Self {
        Self {
            processor: Arc::new(processor),
            concurrency,
            drain_within,
            intakes: Vec::new(),
            chores: JoinSet::new(),
        }
    }

    pub(super) async fn subscribe(
        &mut self,
        bus: &EventBus,
        topic: TopicName,
        name: SubscriptionName,
    ) -> Result<(), ConsumerError> {
        let subscription = Subscription::new(topic.clone(), name).max_in_flight(self.concurrency);
        let joined = bus.subscribe(subscription).await;
        let subscriber = joined.map_err(|source| ConsumerError::Subscribe { topic, source })?;
        self.intakes.push(Intake::new(
            subscriber,
            Arc::clone(&self.processor),
            self.concurrency,
            self.drain_within,
        ));
        Ok(())
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn keep_inbox(
        &mut self,
        database: crate::storage::Database,
        subscription: &str,
        retention: Duration,
    ) {
        let purging = crate::inbox::keep_purging(database, subscription.to_owned(), retention);
        self.chores.spawn(purging);
    }

    /// Handles events until `shutdown` is ready, then finishes what is under way; see
    /// [`Consumer::run_until`](crate::Consumer::run_until).
    pub async fn run_until(
        self,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<Drained, ConsumerError> {
        // Dropped at the end of this function, and when the caller drops its future.
        let _chores = self.chores;
        let stop = CancellationToken::new();
        let mut intakes = JoinSet::new();
        for intake in self.intakes {
            intakes.spawn(intake.run(stop.clone()));
        }
        tokio::pin!(shutdown);
        let mut outcome = Ok(Drained::CLEAN);
        loop {
            tokio::select! {
                () = &mut shutdown, if !stop.is_cancelled() => stop.cancel(),
                ended = intakes.join_next() => match ended {
                    None => return outcome,
                    Some(Ok(Ok(drained))) => {
                        if let Ok(so_far) = &mut outcome {
                            so_far.clean &= drained.clean;
                        }
                    }
                    Some(Ok(Err(error))) => {
                        // The first error is the cause; the others only follow from it.
                        if outcome.is_ok() {
                            outcome = Err(error);
                        }
                        stop.cancel();
                    }
                    Some(Err(broken)) => std::panic::resume_unwind(broken.into_panic()),
                },
            }
        }
    }
}
