//! A payment: what was asked for, and the row that it becomes.

use chrono::{DateTime, Utc};
use commerce_consumer_framework::Metadata;
use commerce_contracts::commerce::{Money, OrderId, PaymentId, PaymentMethod, PaymentRequested};
use uuid::Uuid;

use crate::status::Status;

/// What an order asks for, with the identity that the payment will have.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: PaymentId,
    pub(crate) request: PaymentRequested,
    pub(crate) transaction_id: Option<String>,
    pub(crate) trace_parent: Option<String>,
}

impl Asked {
    pub(crate) fn new(request: PaymentRequested, metadata: &Metadata) -> Self {
        let event = metadata.event();
        Self {
            id: payment_id(request.order_id, request.attempt),
            request,
            transaction_id: event.transaction_id().map(str::to_owned),
            trace_parent: event.trace_parent().map(str::to_owned),
        }
    }
}

/// The same request always means the same payment: a redelivery asks the provider for the charge that it has already.
pub(crate) fn payment_id(order_id: OrderId, attempt: u32) -> PaymentId {
    Uuid::new_v5(&order_id.as_uuid(), attempt.to_string().as_bytes()).into()
}

/// The method's name, as contract and provider spell it.
pub(crate) fn method_name(method: PaymentMethod) -> String {
    match serde_json::to_value(method) {
        Ok(serde_json::Value::String(name)) => name,
        // Whatever the contract adds is still a name in JSON.
        other => unreachable!("a payment method is a text, not {other:?}"),
    }
}

/// A payment as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Payment {
    pub(crate) id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) attempt: i64,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) method: String,
    pub(crate) installments: i64,
    #[sqlx(try_from = "String")]
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
    /// What the provider calls it; empty when the provider refused before there was a charge.
    pub(crate) provider_reference: String,
    pub(crate) transaction_id: Option<String>,
    pub(crate) trace_parent: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) settled_at: Option<DateTime<Utc>>,
}

impl Payment {
    /// The amount, if the stored currency is one.
    pub(crate) fn amount(&self) -> anyhow::Result<Money> {
        Ok(Money::new(self.amount_minor, self.currency.parse()?))
    }

    /// Whether it is for what is asked.
    pub(crate) fn is_for(&self, asked: &Asked) -> bool {
        let request = &asked.request;
        self.amount_minor == request.amount.amount_minor
            && self.currency == request.amount.currency.code()
            && self.organization_id == request.organization_id.as_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_is_the_same_payment_and_another_attempt_another() {
        let order = OrderId::new();
        assert_eq!(payment_id(order, 1), payment_id(order, 1));
        assert_ne!(payment_id(order, 1), payment_id(order, 2));
        assert_ne!(payment_id(order, 1), payment_id(OrderId::new(), 1));
    }

    #[test]
    fn methods_are_spelled_as_in_the_contract() {
        assert_eq!(method_name(PaymentMethod::CreditCard), "credit_card");
        assert_eq!(method_name(PaymentMethod::Pix), "pix");
    }
}
