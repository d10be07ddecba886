//! Takes the deliveries of one subscription, each into a task, and ends in an orderly way.

use std::sync::Arc;
use std::time::Duration;

use commerce_event_bus::{Delivery, Error, Subscriber};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::ConsumerError;
use super::processing::{Processed, Processor};
use crate::backoff::Backoff;
use crate::drained::Drained;
use crate::failure::Failure;

/// The pauses after errors that the bus says will pass.
const RECEIVE: Backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(5));
/// How long leaving a subscription may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Intake {
    subscriber: Subscriber,
    processor: Arc<Processor>,
    concurrency: usize,
    drain_within: Duration,
    tasks: JoinSet<Processed>,
    /// Deliveries that stopped the consumer: given back at the end, or else they would come again at
    /// once, to us.
    held: Vec<Delivery>,
}

impl Intake {
    pub(super) fn new(
        subscriber: Subscriber,
        processor: Arc<Processor>,
        concurrency: usize,
        drain_within: Duration,
    ) -> Self {
        Self {
            subscriber,
            processor,
            concurrency,
            drain_within,
            tasks: JoinSet::new(),
            held: Vec::new(),
        }
    }

    /// Runs until the token is cancelled or the subscription is lost, then finishes what is under way.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<Drained, ConsumerError> {
        let taken = self.take(&stop).await;
        let drained = self.drain().await;
        let drained = match drained {
            Ok(drained) => drained,
            Err(error) => return taken.and(Err(error)),
        };
        drop(self.held);
        if timeout(CLOSE_WITHIN, self.subscriber.close())
            .await
            .is_err()
        {
            tracing::warn!("the subscription was not left in time");
        }
        taken.map(|()| drained)
    }

    async fn take(&mut self, stop: &CancellationToken) -> Result<(), ConsumerError> {
        let mut failures = 0;
        let mut resume_at = Instant::now();
        loop {
            let has_room = self.tasks.len() < self.concurrency;
            let next = async {
                sleep_until(resume_at).await;
                self.subscriber.next().await
            };
            tokio::select! {
                // A task that says stop is heard before another delivery is taken.
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    heed(done, &mut self.held)?;
                }
                received = next, if has_room => match received {
                    Ok(Some(delivery)) => {
                        failures = 0;
                        self.tasks.spawn(Arc::clone(&self.processor).process(delivery));
                    }
                    Ok(None) => return Err(self.lost(None)),
                    Err(error) if error.is_retryable() => {
                        failures += 1;
                        resume_at = Instant::now() + RECEIVE.pause(failures);
                        tracing::warn!(
                            topic = %self.subscriber.subscription().topic,
                            failures,
                            reason = Failure::from(error).reason(),
                            "nothing received; the bus reconnects"
                        );
                    }
                    Err(error) => return Err(self.lost(Some(error))),
                },
            }
        }
    }

    /// Waits for the tasks, within the bound; what is not done by then is given back.
    async fn drain(&mut self) -> Result<Drained, ConsumerError> {
        let deadline = sleep(self.drain_within);
        tokio::pin!(deadline);
        let mut outcome = Ok(Drained::CLEAN);
        while !self.tasks.is_empty() {
            tokio::select! {
                biased;
                Some(done) = self.tasks.join_next() => {
                    if let Err(error) = heed(done, &mut self.held) {
                        outcome = Err(error);
                    }
                }
                () = &mut deadline => {
                    tracing::warn!(
                        topic = %self.subscriber.subscription().topic,
                        deliveries = self.tasks.len(),
                        "not done in time, given back"
                    );
                    self.tasks.shutdown().await;
                    return outcome.map(|_| Drained::INCOMPLETE);
                }
            }
        }
        outcome
    }

    fn lost(&self, source: Option<Error>) -> ConsumerError {
        ConsumerError::Lost {
            topic: self.subscriber.subscription().topic.clone(),
            source,
        }
    }
}

fn heed(done: Result<Processed, JoinError>, held: &mut Vec<Delivery>) -> Result<(), ConsumerError> {
    match done {
        Ok(Processed::Done) => Ok(()),
        Ok(Processed::Stop(stopped)) => {
            held.push(stopped.delivery);
            Err(stopped.error)
        }
        Err(error) => {
            // Handlers' panics end inside the task: this is a fault of ours. The delivery went back.
            tracing::error!(%error, "the task of a delivery broke down");
            Ok(())
        }
    }
}
