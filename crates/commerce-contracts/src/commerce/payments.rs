//! What payments announce. Topic `payments`, in order per order.

use chrono::{DateTime, Utc};
use commerce_contracts_derive::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::avro::AvroSchema;
use crate::commerce::{Money, OrderId, OrganizationId, PaymentId};

/// How an order is paid.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, AvroSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PaymentMethod {
    /// Pix: an instant transfer.
    Pix,
    /// Boleto: a slip that is paid at a bank.
    Boleto,
    /// A credit card.
    CreditCard,
    /// A debit card.
    DebitCard,
    /// A voucher of the shop.
    Voucher,
}

/// The provider has the money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "payments.payment.confirmed",
    version = 1,
    topic = "payments",
    key = "order_id"
)]
pub struct PaymentConfirmed {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// The payment.
    pub payment_id: PaymentId,
    /// Which attempt to pay the order it was, from 1.
    pub attempt: u32,
    /// What was paid.
    pub amount: Money,
    /// What the provider calls the payment.
    pub provider_reference: String,
    /// When.
    pub confirmed_at: DateTime<Utc>,
}

/// The provider refused; no money moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "payments.payment.rejected",
    version = 1,
    topic = "payments",
    key = "order_id"
)]
pub struct PaymentRejected {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// The payment.
    pub payment_id: PaymentId,
    /// Which attempt to pay the order it was, from 1.
    pub attempt: u32,
    /// What was not paid.
    pub amount: Money,
    /// Why, in the provider's words.
    pub reason: String,
    /// What the provider calls the payment.
    pub provider_reference: String,
    /// When.
    pub rejected_at: DateTime<Utc>,
}
