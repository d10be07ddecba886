//! What payments say about orders.

use commerce_consumer_framework::{Emit, Event, Failure, Metadata, Tx};
use commerce_contracts::commerce::{
    Money, OrderId, OrderPaymentPending, OrderReceived, OrganizationId, PaymentConfirmed,
    PaymentRejected, PreparationRequested,
};

use crate::order::{Cause, Order};
use crate::state::{Command, NotAllowed, decide};
use crate::store;

/// Paid: the order is received and is to be prepared.
pub(crate) async fn payment_confirmed(
    payment: Event<PaymentConfirmed>,
    metadata: Metadata,
    mut tx: Tx,
) -> Result<Emit, Failure> {
    let outcome = Outcome {
        organization_id: payment.organization_id,
        order_id: payment.order_id,
        amount: payment.amount,
        command: Command::Confirm {
            attempt: payment.attempt,
        },
        reason: None,
    };
    let Some(order) = settle(&mut tx, &metadata, outcome).await? else {
        return Ok(Emit::nothing());
    };
    Emit::event(&OrderReceived {
        organization_id: order.organization_id,
        order_id: order.order_id,
        customer: order.customer,
        total: order.total,
        payment_id: payment.payment_id,
        attempt: order.attempt,
        received_at: order.updated_at,
    })?
    .and(&PreparationRequested {
        organization_id: order.organization_id,
        order_id: order.order_id,
        items: order.items,
        requested_at: order.updated_at,
    })
}

/// Not paid: the order waits for another attempt.
pub(crate) async fn payment_rejected(
    payment: Event<PaymentRejected>,
    metadata: Metadata,
    mut tx: Tx,
) -> Result<Emit, Failure> {
    let outcome = Outcome {
        organization_id: payment.organization_id,
        order_id: payment.order_id,
        amount: payment.amount,
        command: Command::Reject {
            attempt: payment.attempt,
        },
        reason: Some(payment.reason.clone()),
    };
    let Some(order) = settle(&mut tx, &metadata, outcome).await? else {
        return Ok(Emit::nothing());
    };
    Emit::event(&OrderPaymentPending {
        organization_id: order.organization_id,
        order_id: order.order_id,
        customer: order.customer,
        total: order.total,
        payment_id: payment.payment_id,
        attempt: order.attempt,
        reason: payment.reason.clone(),
        pending_at: order.updated_at,
    })
}

struct Outcome {
    organization_id: OrganizationId,
    order_id: OrderId,
    amount: Money,
    command: Command,
    reason: Option<String>,
}

/// Changes the order; None when the outcome is known already. What cannot be right goes to the dead letters: it is about
/// money, so somebody has to look at it.
async fn settle(
    tx: &mut Tx,
    metadata: &Metadata,
    outcome: Outcome,
) -> Result<Option<Order>, Failure> {
    let order = store::find_any_in(tx, outcome.order_id).await?;
    let order = order
        .filter(|order| order.organization_id == outcome.organization_id)
        .ok_or_else(|| {
            Failure::reject("a payment for an order that does not exist in this organization")
        })?;
    let next = match decide(order.standing(), outcome.command) {
        Ok(next) => next,
        Err(late @ NotAllowed::Known { .. }) => {
            tracing::info!(order_id = %order.order_id, state = %order.state, "ignored: {late}");
            return Ok(None);
        }
        Err(impossible) => return Err(Failure::reject(impossible)),
    };
    if outcome.amount != order.total {
        let (amount, total) = (outcome.amount, order.total);
        return Err(Failure::reject(format!(
            "the payment is of {amount}, and the order of {total}"
        )));
    }
    let event = metadata.event();
    let cause = Cause {
        id: event.id().to_owned(),
        transaction_id: event.transaction_id().map(str::to_owned),
        reason: outcome.reason,
        asked: None,
    };
    let (next, change) = order.change(next, cause);
    if !store::advance(tx, &order, &next).await? {
        return Err(Failure::retry("the order changed meanwhile"));
    }
    store::record(tx, order.order_id, &change).await?;
    Ok(Some(next))
}
