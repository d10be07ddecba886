//! What notifications announce. Topic `notifications`, in order per order.

use chrono::{DateTime, Utc};
use commerce_contracts_derive::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::avro::AvroSchema;
use crate::commerce::{NotificationId, OrderId, OrganizationId};

/// What the customer was told about the order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, AvroSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It is paid and will be prepared.
    Received,
    /// Its payment was rejected.
    PaymentPending,
    /// It is cancelled.
    Cancelled,
}

/// The way to the customer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, AvroSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Channel {
    /// E-mail.
    Email,
}

/// The customer was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Event)]
#[event(
    name = "notifications.customer.notified",
    version = 1,
    topic = "notifications",
    key = "order_id"
)]
pub struct CustomerNotified {
    /// Whose order it is.
    pub organization_id: OrganizationId,
    /// The order.
    pub order_id: OrderId,
    /// The message to the customer.
    pub notification_id: NotificationId,
    /// What the customer was told.
    pub outcome: Outcome,
    /// The attempt to pay that it is about; 0 when it is about none.
    pub attempt: u32,
    /// The way it was sent.
    pub channel: Channel,
    /// When.
    pub notified_at: DateTime<Utc>,
}
