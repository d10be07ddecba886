//! The orders that the demo places, before they are placed.

mod amount;
pub(crate) mod olist;
pub(crate) mod sample;

use serde::Serialize;
use uuid::Uuid;

/// One order to place, and what its customer then does.
#[derive(Clone, Debug)]
pub(crate) struct OrderDraft {
    /// What is posted to `/orders`.
    pub(crate) request: NewOrder,
    /// What follows once the order exists.
    pub(crate) intent: Intent,
}

/// What the customer does with the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Pays: the `checkout` link is followed.
    CheckOut,
    /// Gives up, for this reason: the `cancel` link is followed.
    Cancel(String),
}

/// The body of `POST /orders`, as the orders service documents it in its OpenAPI.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NewOrder {
    /// Chosen by the client: posting it twice creates one order.
    pub(crate) order_id: Uuid,
    /// The shop's own number of the order.
    pub(crate) reference: String,
    /// Who buys.
    pub(crate) customer: Customer,
    /// What is bought; empty for a draft.
    pub(crate) items: Vec<Item>,
    /// Shipping.
    pub(crate) freight: Money,
    /// How it will be paid.
    pub(crate) payment: Payment,
}

/// Who buys.
#[derive(Clone, Debug, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "fields are named as the API names them"
)]
pub(crate) struct Customer {
    /// The shop's identifier of the customer.
    pub(crate) customer_id: Uuid,
    /// Full name.
    pub(crate) name: String,
    /// Where the outcome is told.
    pub(crate) email: String,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    /// Stock keeping unit.
    pub(crate) sku: String,
    /// What the customer reads.
    pub(crate) name: String,
    /// How many, at least one.
    pub(crate) quantity: u32,
    /// Price of one.
    pub(crate) unit_price: Money,
}

/// An amount as the API takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Money {
    /// Cents.
    pub(crate) amount_minor: i64,
    /// ISO 4217.
    pub(crate) currency: &'static str,
}

impl Money {
    /// Brazilian reals, in cents.
    #[must_use]
    pub(crate) fn brl(cents: i64) -> Self {
        Self {
            amount_minor: cents,
            currency: "BRL",
        }
    }
}

/// How an order is paid.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Payment {
    /// `pix`, `boleto`, `credit_card`, `debit_card` or `voucher`.
    pub(crate) method: &'static str,
    /// At least one.
    pub(crate) installments: u32,
}

impl OrderDraft {
    /// Items and freight, in cents: what the server must compute as well.
    #[must_use]
    pub(crate) fn total_cents(&self) -> i64 {
        let items: i64 = self
            .request
            .items
            .iter()
            .map(|item| i64::from(item.quantity) * item.unit_price.amount_minor)
            .sum();
        items + self.request.freight.amount_minor
    }
}
