//! One delivery from its receipt to its settlement.

mod deferrals;
mod verdict;

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use commerce_event_bus::{Delivery, ErrorKind, Message, SettleError, SubscriptionName};
use futures_util::FutureExt;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tracing::{Instrument, Span, field};

use self::deferrals::Deferrals;
use self::verdict::Verdict;
use super::{ConsumerError, Handle, OnExhausted};
use crate::backoff::Backoff;
use crate::call::Call;
use crate::failure::Failure;
use crate::stats::Stats;
use crate::trace;

/// A verdict that does not reach the bus is sent again, for about six seconds. Then the delivery is
/// given back unsettled, and comes again.
const SETTLE: Backoff =
    Backoff::exponential(Duration::from_millis(200), Duration::from_secs(2)).attempts(5);

/// What the user has decided about failures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) backoff: Backoff,
    pub(super) handler_timeout: Duration,
    pub(super) on_exhausted: OnExhausted,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            handler_timeout: Duration::from_mins(1),
            on_exhausted: OnExhausted::default(),
        }
    }
}

/// Handles deliveries, each in a task of its own.
pub(super) struct Processor {
    subscription: SubscriptionName,
    /// The bus backend's name, for traces.
    system: &'static str,
    is_routed: Box<dyn Fn(&Message) -> bool + Send + Sync>,
    handle: Handle,
    policy: Policy,
    stats: Arc<Stats>,
    deferrals: Deferrals,
}

/// A delivery that nobody can handle, and what the consumer says about it when it stops.
pub(super) struct Stopped {
    pub(super) delivery: Delivery,
    pub(super) error: ConsumerError,
}

/// What a delivery's task leaves behind.
pub(super) enum Processed {
    /// Settled, or given back.
    Done,
    /// The consumer is to stop; the delivery is given back once it has.
    Stop(Box<Stopped>),
}

impl Processor {
    pub(super) fn new(
        subscription: SubscriptionName,
        system: &'static str,
        is_routed: Box<dyn Fn(&Message) -> bool + Send + Sync>,
        handle: Handle,
        policy: Policy,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            subscription,
            system,
            is_routed,
            handle,
            policy,
            stats,
            deferrals: Deferrals::default(),
        }
    }

    pub(super) async fn process(self: Arc<Self>, delivery: Delivery) -> Processed {
        let _in_flight = self.stats.enter();
        if !(self.is_routed)(delivery.message()) {
            self.stats.ignored.add();
            self.settle(delivery, Verdict::Ack).await;
            return Processed::Done;
        }
        let attempt = self.deferrals.attempts(&delivery);
        let span = self.span(&delivery, attempt);
        trace::adopt_parent(&span, &delivery.message().event);
        async {
            let failure = self.attempt(&delivery, attempt).await.err();
            let verdict = Verdict::on(failure, attempt, &self.policy);
            span.record("outcome", verdict.name());
            self.report(&verdict, attempt);
            match verdict {
                Verdict::Stop { reason } => {
                    let message = delivery.message();
                    let error = ConsumerError::Exhausted {
                        topic: message.topic.clone(),
                        event_id: message.event.id().to_owned(),
                        attempts: attempt,
                        reason,
                    };
                    Processed::Stop(Box::new(Stopped { delivery, error }))
                }
                verdict => {
                    self.deferrals.note(&delivery, &verdict);
                    self.settle(delivery, verdict).await;
                    Processed::Done
                }
            }
        }
        .instrument(span.clone())
        .await
    }

    /// Runs the layers and the handler, and outlives what they do.
    async fn attempt(&self, delivery: &Delivery, attempt: u32) -> Result<(), Failure> {
        let message = delivery.message().clone();
        let call = Call::new(message, self.subscription.clone(), attempt);
        // The clone is made per call, as tower wants it; a panic leaves no half-changed state behind
        // that a later call would see.
        let handling = AssertUnwindSafe(self.handle.clone().oneshot(call)).catch_unwind();
        let limit = self.policy.handler_timeout;
        match timeout(limit, handling).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => {
                self.stats.panics.add();
                Err(Failure::retry(format!(
                    "the handler panicked: {}",
                    text_of(&*panic)
                )))
            }
            Err(_) => {
                self.stats.timeouts.add();
                Err(Failure::retry(format!(
                    "the handler took longer than {limit:?}"
                )))
            }
        }
    }

    /// Tells what happens next, once, here where it is decided; and counts it.
    fn report(&self, verdict: &Verdict, attempt: u32) {
        match verdict {
            Verdict::Ack => tracing::debug!("event handled"),
            Verdict::Duplicate => {
                self.stats.duplicates.add();
                tracing::debug!("event was handled before");
            }
            Verdict::Retry { after, reason } => {
                self.stats.retries.add();
                tracing::warn!(
                    attempt,
                    ?after,
                    reason,
                    "event not handled, to be tried again"
                );
            }
            Verdict::Defer { after } => {
                self.stats.deferrals.add();
                tracing::debug!(?after, "event deferred");
            }
            Verdict::Reject { reason } => {
                tracing::error!(
                    attempt,
                    reason,
                    "event not handled, sent to the dead letters"
                );
            }
            Verdict::Stop { reason } => {
                tracing::error!(attempt, reason, "event not handled, the consumer stops");
            }
        }
    }

    /// Brings the verdict to the bus, or gives the delivery back.
    async fn settle(&self, mut delivery: Delivery, verdict: Verdict) {
        for attempt in 1.. {
            let SettleError {
                delivery: unsettled,
                source,
                ..
            } = match verdict.apply(delivery).await {
                Ok(()) => {
                    if matches!(verdict, Verdict::Reject { .. }) {
                        self.stats.dead_lettered.add();
                    }
                    return;
                }
                Err(error) => error,
            };
            self.stats.settle_errors.add();
            let last = SETTLE.is_last(attempt) || source.kind() == ErrorKind::LeaseLost;
            tracing::warn!(
                attempt,
                verdict = verdict.name(),
                reason = Failure::from(source).reason(),
                gives_up = last,
                "the bus did not take the verdict; without it the event is delivered again"
            );
            if last {
                return;
            }
            sleep(SETTLE.pause(attempt)).await;
            delivery = *unsettled;
        }
    }

    /// A span in the words of OpenTelemetry's conventions for messaging.
    fn span(&self, delivery: &Delivery, attempt: u32) -> Span {
        let (topic, event) = (&delivery.message().topic, &delivery.message().event);
        tracing::info_span!(
            "process",
            otel.name = format!("process {topic}"),
            otel.kind = "consumer",
            messaging.system = self.system,
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            messaging.destination.name = %topic,
            messaging.consumer.group.name = %self.subscription,
            messaging.message.id = event.id(),
            messaging.message.conversation_id = event.transaction_id(),
            cloudevents.event_id = event.id(),
            cloudevents.event_source = event.source(),
            cloudevents.event_type = event.event_type(),
            attempt,
            outcome = field::Empty,
        )
    }
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("subscription", &self.subscription)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
