//! The body of `POST /orders`: what is wrong with it is told all at once, each at its place.

use commerce_contracts::commerce::{
    Currency, Customer, EmailAddress, Money, OrderId, OrderItem, OrganizationId, Quantity, Sku,
};
use commerce_host::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::order::{Order, Payment, now};
use crate::state::State;

/// An order to be created. Its total is computed here.
///
/// Its digest tells it from others posted under the same id or key. So what may be left out is left out of its JSON too:
/// a field that is added one day must not change the digests of those who do not use it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    /// Chosen by the caller, so that the same order may be posted again: a UUID, best of version 7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order_id: Option<Uuid>,
    /// What the shop calls the order.
    #[schema(max_length = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    customer: Buyer,
    /// What is bought; an order without items is a draft, which cannot be checked out.
    items: Vec<Line>,
    /// The price of the delivery.
    freight: Amount,
    /// How it will be paid; can also be said at the checkout.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<Payment>,
}

/// Who buys.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Buyer {
    customer_id: Uuid,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Where the customer is told what becomes of the order: `name@domain` in ASCII.
    #[schema(format = "email", min_length = 3, max_length = 254)]
    email: String,
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// 1 to 64 printable ASCII characters.
    #[schema(min_length = 1, max_length = 64)]
    sku: String,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(minimum = 1)]
    quantity: u32,
    /// The price of one.
    unit_price: Amount,
}

/// An amount of money.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Amount {
    /// In the smallest unit of the currency.
    #[schema(minimum = 0)]
    amount_minor: i64,
    /// ISO 4217.
    #[schema(example = "BRL")]
    currency: String,
}

impl NewOrder {
    /// The order, or everything that is wrong with it.
    pub(super) fn accept(
        self,
        order_id: OrderId,
        organization_id: OrganizationId,
        largest: usize,
    ) -> Result<Order, Problem> {
        let mut mistakes = Mistakes::default();
        if let Some(reference) = &self.reference {
            mistakes.text("/reference", reference, 100);
        }
        let customer = self.customer.accept(&mut mistakes);
        let freight = self.freight.accept("/freight", &mut mistakes);
        if self.items.len() > largest {
            mistakes.add("/items", format!("an order has {largest} lines at most"));
        }
        let lines = self.items.into_iter().enumerate();
        let items: Vec<Option<OrderItem>> = lines
            .map(|(index, line)| line.accept(&format!("/items/{index}"), freight, &mut mistakes))
            .collect();
        if let Some(payment) = &self.payment {
            check_payment("/payment", *payment, &mut mistakes);
        }
        let items: Option<Vec<OrderItem>> = items.into_iter().collect();
        let (Some(customer), Some(freight), Some(items), true) =
            (customer, freight, items, mistakes.0.is_empty())
        else {
            return Err(mistakes.into_problem());
        };
        let Some(total) = total(&items, freight) else {
            mistakes.add("/items", "the total is too large".to_owned());
            return Err(mistakes.into_problem());
        };
        let at = now();
        Ok(Order {
            order_id,
            organization_id,
            reference: self.reference,
            customer,
            items,
            freight,
            total,
            payment: self.payment,
            state: State::Created,
            attempt: 0,
            version: 1,
            created_at: at,
            updated_at: at,
        })
    }
}

/// None when it does not fit. Currencies are one already.
fn total(items: &[OrderItem], freight: Money) -> Option<Money> {
    items
        .iter()
        .try_fold(freight, |sum, item| {
            sum.checked_add(item.unit_price.checked_mul(item.quantity)?)
        })
        .ok()
}

impl Buyer {
    fn accept(self, mistakes: &mut Mistakes) -> Option<Customer> {
        mistakes.text("/customer/name", &self.name, 200);
        let email = self.email.parse::<EmailAddress>();
        let email = email.map_err(|error| mistakes.add("/customer/email", error.to_string()));
        Some(Customer {
            customer_id: self.customer_id.into(),
            name: self.name,
            email: email.ok()?,
        })
    }
}

impl Line {
    fn accept(
        self,
        pointer: &str,
        freight: Option<Money>,
        mistakes: &mut Mistakes,
    ) -> Option<OrderItem> {
        mistakes.text(&format!("{pointer}/name"), &self.name, 200);
        let sku = self
            .sku
            .parse::<Sku>()
            .map_err(|error| mistakes.add(&format!("{pointer}/sku"), error.to_string()));
        let quantity = Quantity::new(self.quantity)
            .map_err(|error| mistakes.add(&format!("{pointer}/quantity"), error.to_string()));
        let price = format!("{pointer}/unit_price");
        let unit_price = self.unit_price.accept(&price, mistakes)?;
        if freight.is_some_and(|freight| freight.currency != unit_price.currency) {
            mistakes.add(
                &format!("{price}/currency"),
                "not the currency of the freight; an order has one".to_owned(),
            );
        }
        Some(OrderItem {
            sku: sku.ok()?,
            name: self.name,
            quantity: quantity.ok()?,
            unit_price,
        })
    }
}

impl Amount {
    fn accept(self, pointer: &str, mistakes: &mut Mistakes) -> Option<Money> {
        if self.amount_minor < 0 {
            mistakes.add(
                &format!("{pointer}/amount_minor"),
                "a price is not negative".to_owned(),
            );
        }
        let currency = self.currency.parse::<Currency>();
        let currency = currency
            .map_err(|error| mistakes.add(&format!("{pointer}/currency"), error.to_string()))
            .ok()?;
        Some(Money::new(self.amount_minor, currency))
    }
}

/// Checks what the type of a payment does not say.
pub(super) fn check_payment(pointer: &str, payment: Payment, mistakes: &mut Mistakes) {
    if !(1..=99).contains(&payment.installments) {
        mistakes.add(
            &format!("{pointer}/installments"),
            "from 1, for at once, to 99".to_owned(),
        );
    }
}

/// What is wrong, each with its JSON pointer.
#[derive(Default)]
pub(super) struct Mistakes(Vec<(String, String)>);

impl Mistakes {
    pub(super) fn add(&mut self, pointer: &str, detail: String) {
        self.0.push((pointer.to_owned(), detail));
    }

    /// A text that people read: not empty, not endless, on one line.
    pub(super) fn text(&mut self, pointer: &str, text: &str, longest: usize) {
        if text.trim().is_empty()
            || text.chars().count() > longest
            || text.contains(char::is_control)
        {
            self.add(pointer, format!("1 to {longest} characters on one line"));
        }
    }

    pub(super) fn into_result(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into_problem())
        }
    }

    fn into_problem(self) -> Problem {
        let problem = Problem::unprocessable("the request is understood, but not acceptable");
        self.0
            .into_iter()
            .fold(problem, |problem, (pointer, detail)| {
                problem.at(pointer, detail)
            })
    }
}
