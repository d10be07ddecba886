//! Events that follow from requests.

use commerce_consumer_framework::outbox;
use commerce_consumer_framework::storage::Transaction;
use commerce_contracts::{CloudEvent, EnvelopeError, Event};
use commerce_event_bus::Message;
use commerce_host::{Problem, RequestContext};

/// Stores an event in the transaction that it tells about, tied to the request that caused it.
pub(crate) async fn announce<E: Event>(
    tx: &mut Transaction,
    context: &RequestContext,
    event: &E,
) -> Result<(), Problem> {
    let mut message = Message::of(event)?;
    message.event = tie(context, message.event).map_err(|error| Problem::internal(&error))?;
    outbox::append(tx, &message).await?;
    Ok(())
}

fn tie(context: &RequestContext, event: CloudEvent) -> Result<CloudEvent, EnvelopeError> {
    let event = event
        .with_transaction_id(&context.transaction_id)?
        .with_causation_id(&context.request_id)?;
    match &context.trace_parent {
        // The trace of a caller is carried on as far as it is one.
        Some(trace) => Ok(event.clone().with_trace_parent(trace).unwrap_or(event)),
        None => Ok(event),
    }
}
