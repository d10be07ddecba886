//! Runs a consumer beside a case.

use commerce_consumer_framework::{Consumer, ConsumerError, Drained};
use commerce_event_bus::{DeadLetter, EventBus};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::shop::{subscription, topic};

pub(crate) struct Runner {
    stop: CancellationToken,
    task: JoinHandle<Result<Drained, ConsumerError>>,
}

impl Runner {
    /// Returns once the consumer has subscribed.
    pub(crate) async fn start<S: Clone + Send + Sync + 'static>(consumer: Consumer<S>) -> Self {
        let running = consumer.start().await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(running.run_until(stop.clone().cancelled_owned()));
        Self { stop, task }
    }

    pub(crate) async fn stop(self) -> Result<Drained, ConsumerError> {
        self.stop.cancel();
        self.task.await.unwrap()
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<Drained, ConsumerError> {
        self.task.await.unwrap()
    }
}

/// The dead letters of a subscription to the topic of sales.
pub(crate) async fn dead(bus: &EventBus, name: &str) -> Vec<DeadLetter> {
    bus.dead_letters(&topic("sales"), &subscription(name), 100)
        .await
        .unwrap()
}
