//! What happens in orders becomes e-mails.

use std::time::Duration;

use chrono::{SubsecRound as _, Utc};
use commerce_consumer_framework::storage::Database;
use commerce_consumer_framework::{Backoff, Begin, Consumer, Emit, Event, Failure, State};
use commerce_contracts::commerce::{
    Channel, CustomerNotified, OrderCancelled, OrderPaymentPending, OrderReceived,
};
use commerce_event_bus::EventBus;

use crate::config::Sender;
use crate::letter::Letter;
use crate::notice::Notice;
use crate::store;
use crate::transport::{DeliveryError, Transport};

/// How long to wait while no e-mail leaves at all. It is nobody's fault and does not count as an attempt.
const OUTAGE_PAUSE: Duration = Duration::from_secs(10);
/// A server that puts off one e-mail (greylisting, a full mailbox) is asked for half an hour.
const RETRY: Backoff =
    Backoff::exponential(Duration::from_millis(200), Duration::from_mins(5)).attempts(16);

/// What the handlers work with.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    database: Database,
    transport: Transport,
    from: Sender,
}

impl Notifier {
    pub(crate) fn new(database: Database, transport: Transport, from: Sender) -> Self {
        Self {
            database,
            transport,
            from,
        }
    }

    /// Sends the e-mail first, while nothing is locked, and records it afterwards; see the crate's documentation.
    async fn tell(&self, notice: Notice, begin: Begin) -> Result<Emit, Failure> {
        if store::is_recorded(&self.database, notice.id()).await? {
            return Ok(Emit::nothing());
        }
        let letter = Letter::write(&notice, &self.from).map_err(Failure::reject)?;
        self.transport.deliver(&letter).await.map_err(failure)?;

        // Both databases keep microseconds: what is announced is what is stored.
        let notified_at = Utc::now().trunc_subsecs(6);
        let mut tx = begin.transaction().await?;
        if !store::record(&mut tx, &notice, notified_at).await? {
            return Ok(Emit::nothing());
        }
        Emit::event(&CustomerNotified {
            organization_id: notice.organization_id,
            order_id: notice.order_id,
            notification_id: notice.id(),
            outcome: notice.outcome,
            attempt: notice.attempt,
            channel: Channel::Email,
            notified_at,
        })
    }
}

/// The consumer of the service.
pub(crate) fn consumer(
    notifier: Notifier,
    bus: EventBus,
    concurrency: usize,
) -> Consumer<Notifier> {
    let database = notifier.database.clone();
    Consumer::new(crate::NAME, bus)
        .state(notifier)
        .inbox(database)
        .on(received)
        .on(payment_pending)
        .on(cancelled)
        .retry(RETRY)
        .concurrency(concurrency)
}

async fn received(
    event: Event<OrderReceived>,
    State(notifier): State<Notifier>,
    begin: Begin,
) -> Result<Emit, Failure> {
    notifier.tell(event.0.into(), begin).await
}

async fn payment_pending(
    event: Event<OrderPaymentPending>,
    State(notifier): State<Notifier>,
    begin: Begin,
) -> Result<Emit, Failure> {
    notifier.tell(event.0.into(), begin).await
}

async fn cancelled(
    event: Event<OrderCancelled>,
    State(notifier): State<Notifier>,
    begin: Begin,
) -> Result<Emit, Failure> {
    notifier.tell(event.0.into(), begin).await
}

fn failure(error: DeliveryError) -> Failure {
    match error {
        DeliveryError::Refused(_) => Failure::reject(error),
        DeliveryError::PutOff(_) => Failure::retry(error),
        DeliveryError::Outage(_) => {
            tracing::warn!(error = %Failure::retry(error), "no e-mail leaves; it is tried again");
            Failure::defer(OUTAGE_PAUSE)
        }
    }
}
