//! What orders announce. Topic `orders`, in order per order.

use chrono::{DateTime, Utc};
use commerce_contracts_derive::{Event, PersonalData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::avro::AvroSchema;
use crate::commerce::{
    CustomerId, EmailAddress, Money, OrderId, OrderItem, OrganizationId, PaymentId, PaymentMethod,
};

/// Who buys, and how to reach them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, AvroSchema, PersonalData)]
pub struct Customer {
    /// The customer.
    pub customer_id: CustomerId,
    /// How the customer is addressed.
    #[event(personal)]
    pub name: String,
    /// Where the customer reads.
    #[event(personal)]
    pub email: EmailAddress,
}

/// An order exists; it is not paid, and its payment has not been asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "orders.order.created",
    version = 1,
    topic = "orders",
    key = "order_id"
)]
pub struct OrderCreated {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// What the shop calls the order.
    pub reference: Option<String>,
    /// Who buys.
    pub customer: Customer,
    /// What is bought; a draft has none.
    pub items: Vec<OrderItem>,
    /// The price of the delivery.
    pub freight: Money,
    /// Items and freight together.
    pub total: Money,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// An order is to be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "orders.payment.requested",
    version = 1,
    topic = "orders",
    key = "order_id"
)]
pub struct PaymentRequested {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// Which attempt to pay this order it is, from 1.
    pub attempt: u32,
    /// What is to be paid.
    pub amount: Money,
    /// How.
    pub method: PaymentMethod,
    /// In how many parts; 1 for at once.
    pub installments: u32,
    /// When.
    pub requested_at: DateTime<Utc>,
}

/// An order is paid: the shop has received it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "orders.order.received",
    version = 1,
    topic = "orders",
    key = "order_id"
)]
pub struct OrderReceived {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// Who buys.
    pub customer: Customer,
    /// What was paid.
    pub total: Money,
    /// The payment that paid it.
    pub payment_id: PaymentId,
    /// The attempt that succeeded.
    pub attempt: u32,
    /// When.
    pub received_at: DateTime<Utc>,
}

/// A paid order is to be prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "orders.preparation.requested",
    version = 1,
    topic = "orders",
    key = "order_id"
)]
pub struct PreparationRequested {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// What to prepare.
    pub items: Vec<OrderItem>,
    /// When.
    pub requested_at: DateTime<Utc>,
}

/// A payment was rejected; the order waits for another attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "orders.order.payment-pending",
    version = 1,
    topic = "orders",
    key = "order_id"
)]
pub struct OrderPaymentPending {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// Who buys.
    pub customer: Customer,
    /// What is to be paid.
    pub total: Money,
    /// The payment that was rejected.
    pub payment_id: PaymentId,
    /// The attempt that failed.
    pub attempt: u32,
    /// Why it was rejected.
    pub reason: String,
    /// When.
    pub pending_at: DateTime<Utc>,
}

/// An order will not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "orders.order.cancelled",
    version = 1,
    topic = "orders",
    key = "order_id"
)]
pub struct OrderCancelled {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// Who wanted to buy.
    pub customer: Customer,
    /// What it would have cost.
    pub total: Money,
    /// Why.
    pub reason: String,
    /// When.
    pub cancelled_at: DateTime<Utc>,
}
