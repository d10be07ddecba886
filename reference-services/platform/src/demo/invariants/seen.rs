//! What was asked for, and what was seen in the end.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use uuid::Uuid;

use super::super::faults::Thrown;

/// What was asked for, by order.
pub(crate) type Expected = HashMap<Uuid, Ordered>;

/// One order as it was placed.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    /// Cents.
    pub(crate) total: i64,
    /// Where the customer reads.
    pub(crate) email: String,
}

/// An order as its service tells it.
#[derive(Clone, Debug)]
pub(crate) struct OrderSeen {
    /// Which.
    pub(crate) order_id: Uuid,
    /// `CREATED`, `RECEIVED`, …
    pub(crate) state: String,
    /// Cents.
    pub(crate) total: i64,
}

/// A payment as its service tells it.
#[derive(Clone, Debug)]
pub(crate) struct PaymentSeen {
    /// Which; the provider knows it by the same name.
    pub(crate) payment_id: Uuid,
    /// For which order.
    pub(crate) order_id: Uuid,
    /// `PENDING`, `CONFIRMED`, `REJECTED`.
    pub(crate) status: String,
    /// Cents.
    pub(crate) amount: i64,
}

/// A reference in the provider's ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct LedgerEntry {
    /// The caller's name for it.
    pub(crate) reference: String,
    /// How many charges carry it.
    pub(crate) charges: i64,
    /// How many of them were confirmed.
    pub(crate) confirmed: i64,
    /// Cents that were charged.
    pub(crate) confirmed_minor: i64,
}

/// A message in the customers' mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MailSeen {
    /// The order that the notification it belongs to is about; none when it belongs to no notification.
    pub(crate) order_id: Option<Uuid>,
    /// What the customer was told: `received`, `payment_pending`, `cancelled`.
    pub(crate) outcome: String,
    /// To whom.
    pub(crate) recipient: String,
}

/// Everything that was seen at the end.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// From `GET /orders`.
    pub(crate) orders: Vec<OrderSeen>,
    /// From `GET /payments`.
    pub(crate) payments: Vec<PaymentSeen>,
    /// What the provider says was charged.
    pub(crate) ledger: Vec<LedgerEntry>,
    /// The customers' mailbox.
    pub(crate) mails: Vec<MailSeen>,
    /// Requests to prepare an order, as the bus carried them, by order.
    pub(crate) prepared: HashMap<Uuid, usize>,
    /// Deliveries that ended as dead letters, by subscription.
    pub(crate) dead_letters: BTreeMap<String, u64>,
    /// What was thrown at the platform, where all of it must have hit.
    pub(crate) thrown: Option<Thrown>,
}
