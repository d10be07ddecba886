//! What a customer is to be told.

use chrono::{DateTime, Utc};
use commerce_contracts::commerce::{
    Customer, Money, NotificationId, OrderCancelled, OrderId, OrderPaymentPending, OrderReceived,
    OrganizationId, Outcome,
};
use uuid::Uuid;

/// What a customer is to be told about an order: there is one notice for each outcome of each attempt to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// What became of it.
    pub outcome: Outcome,
    /// The attempt to pay that it is about; 0 when it is about none.
    pub attempt: u32,
    /// Who is told.
    pub customer: Customer,
    /// What is to be paid, or was.
    pub total: Money,
    /// Why, where that is to be said.
    pub reason: Option<String>,
    /// When it happened.
    pub happened_at: DateTime<Utc>,
}

impl Notice {
    /// The same for the same order, outcome and attempt, whoever computes it and however often.
    pub fn id(&self) -> NotificationId {
        let name = format!("{}/{}", name(self.outcome), self.attempt);
        Uuid::new_v5(&self.order_id.as_uuid(), name.as_bytes()).into()
    }
}

impl From<OrderReceived> for Notice {
    fn from(event: OrderReceived) -> Self {
        Self {
            organization_id: event.organization_id,
            order_id: event.order_id,
            outcome: Outcome::Received,
            attempt: event.attempt,
            customer: event.customer,
            total: event.total,
            reason: None,
            happened_at: event.received_at,
        }
    }
}

impl From<OrderPaymentPending> for Notice {
    fn from(event: OrderPaymentPending) -> Self {
        Self {
            organization_id: event.organization_id,
            order_id: event.order_id,
            outcome: Outcome::PaymentPending,
            attempt: event.attempt,
            customer: event.customer,
            total: event.total,
            reason: Some(event.reason),
            happened_at: event.pending_at,
        }
    }
}

impl From<OrderCancelled> for Notice {
    fn from(event: OrderCancelled) -> Self {
        Self {
            organization_id: event.organization_id,
            order_id: event.order_id,
            outcome: Outcome::Cancelled,
            attempt: 0,
            customer: event.customer,
            total: event.total,
            reason: Some(event.reason),
            happened_at: event.cancelled_at,
        }
    }
}

/// An outcome as it is stored and spelled in events.
pub(crate) fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Received => "received",
        Outcome::PaymentPending => "payment_pending",
        Outcome::Cancelled => "cancelled",
        // The enum may grow before this service does; no event that it consumes has another outcome.
        _ => "other",
    }
}
