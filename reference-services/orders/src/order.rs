//! An order.

use chrono::{DateTime, SubsecRound as _, Utc};
use commerce_contracts::commerce::{
    Customer, Money, OrderId, OrderItem, OrganizationId, PaymentMethod,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::state::{Standing, State};

/// How an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payment {
    /// `pix`, `boleto`, `credit_card`, `debit_card` or `voucher`.
    #[schema(value_type = String, example = "pix")]
    pub(crate) method: PaymentMethod,
    /// In how many parts; 1 for at once.
    #[schema(minimum = 1, maximum = 99)]
    pub(crate) installments: u32,
}

/// An order as it is stored.
#[expect(
    clippy::struct_field_names,
    reason = "the order's id has the name that it has everywhere"
)]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) order_id: OrderId,
    pub(crate) organization_id: OrganizationId,
    pub(crate) reference: Option<String>,
    pub(crate) customer: Customer,
    pub(crate) items: Vec<OrderItem>,
    pub(crate) freight: Money,
    pub(crate) total: Money,
    pub(crate) payment: Option<Payment>,
    pub(crate) state: State,
    pub(crate) attempt: u32,
    /// Counts the changes: who changes an order says which version was seen.
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Order {
    /// Where it stands, for [`decide`](crate::state::decide).
    pub(crate) fn standing(&self) -> Standing {
        let payable = !self.items.is_empty() && self.total.is_positive();
        Standing {
            state: self.state,
            attempt: self.attempt,
            payable,
        }
    }

    /// The order after a change, and the change for its history.
    pub(crate) fn change(&self, to: Standing, cause: Cause) -> (Self, Change) {
        let at = now();
        let next = Self {
            state: to.state,
            attempt: to.attempt,
            version: self.version + 1,
            updated_at: at,
            ..self.clone()
        };
        let change = Change {
            number: next.version,
            from: Some(self.state),
            to: to.state,
            attempt: to.attempt,
            at,
            cause,
        };
        (next, change)
    }

    /// The first entry of its history.
    pub(crate) fn creation(&self, cause: Cause) -> Change {
        Change {
            number: self.version,
            from: None,
            to: self.state,
            attempt: self.attempt,
            at: self.created_at,
            cause,
        }
    }
}

/// One change of an order's state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) number: i64,
    pub(crate) from: Option<State>,
    pub(crate) to: State,
    pub(crate) attempt: u32,
    pub(crate) at: DateTime<Utc>,
    pub(crate) cause: Cause,
}

/// Why an order changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cause {
    /// The id of the request or event.
    pub(crate) id: String,
    /// The business transaction that it belongs to.
    pub(crate) transaction_id: Option<String>,
    /// What is told about it: by whoever cancelled, or by the payment provider.
    pub(crate) reason: Option<String>,
    /// What was asked for; none for an event.
    pub(crate) asked: Option<Asked>,
}

/// What a request asks for, so that it is known when it comes again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    /// Of what the body says, however it is written.
    pub(crate) digest: Vec<u8>,
    /// The key under which the request may come again without being done again.
    pub(crate) key: Option<String>,
}

impl Asked {
    /// A request for `operation` with this content.
    pub(crate) fn new(
        operation: Operation,
        content: &impl Serialize,
        key: Option<&str>,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            operation,
            digest: Sha256::digest(serde_json::to_vec(content)?).to_vec(),
            key: key.map(str::to_owned),
        })
    }
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    CheckOut,
    Cancel,
}

impl Operation {
    /// As it is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::CheckOut => "checkout",
            Self::Cancel => "cancel",
        }
    }
}

/// The time, as precise as both databases keep it: what is answered now is what is read later.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
