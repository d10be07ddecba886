//! What must hold when the demo ends, checked against what the services' public APIs, the bus, the provider's ledger and
//! the mailbox say.

mod seen;

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use uuid::Uuid;

pub(crate) use self::seen::{
    Expected, LedgerEntry, MailSeen, OrderSeen, Ordered, PaymentSeen, Seen,
};
use super::faults::Thrown;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// Which promise.
    pub(crate) invariant: &'static str,
    /// What was seen instead.
    pub(crate) detail: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// The states in which nothing more happens by itself.
pub(crate) const SETTLED: [&str; 3] = ["RECEIVED", "PAYMENT_PENDING", "CANCELLED"];

/// How many expected orders are missing or unsettled.
pub(crate) fn lost(expected: &Expected, seen: &Seen) -> usize {
    let settled: HashSet<Uuid> = seen
        .orders
        .iter()
        .filter(|order| order.is_settled())
        .map(|order| order.order_id)
        .collect();
    expected
        .keys()
        .filter(|order_id| !settled.contains(*order_id))
        .count()
}

/// Every promise that is not kept.
pub(crate) fn check(expected: &Expected, seen: &Seen) -> Vec<Violation> {
    let mut broken = Broken::default();
    orders_are_settled(expected, seen, &mut broken);
    money_is_right(seen, &mut broken);
    the_ledger_agrees(seen, &mut broken);
    received_orders_are_prepared_once(seen, &mut broken);
    customers_are_told_once(expected, seen, &mut broken);
    if let Some(thrown) = &seen.thrown {
        faults_have_hit(thrown, &mut broken);
    }
    for (subscription, count) in seen.dead_letters.iter().filter(|(_, count)| **count > 0) {
        broken.promise(
            "nothing lost",
            format!("{count} dead letters in {subscription}"),
        );
    }
    broken.0
}

#[derive(Default)]
struct Broken(Vec<Violation>);

impl Broken {
    fn promise(&mut self, invariant: &'static str, detail: String) {
        self.0.push(Violation { invariant, detail });
    }
}

impl OrderSeen {
    fn is_settled(&self) -> bool {
        SETTLED.contains(&self.state.as_str())
    }
}

fn orders_are_settled(expected: &Expected, seen: &Seen, broken: &mut Broken) {
    let orders: HashMap<_, _> = seen
        .orders
        .iter()
        .map(|order| (order.order_id, order))
        .collect();
    for (order_id, Ordered { total, .. }) in expected {
        match orders.get(order_id) {
            None => broken.promise(
                "nothing lost",
                format!("order {order_id} was accepted and is gone"),
            ),
            Some(order) if !order.is_settled() => {
                broken.promise(
                    "every order settled",
                    format!("order {order_id} is {}", order.state),
                );
            }
            Some(order) if order.total != *total => broken.promise(
                "totals to the cent",
                format!(
                    "order {order_id} costs {total} cents, the service says {}",
                    order.total
                ),
            ),
            Some(_) => {}
        }
    }
    if orders.len() != expected.len() || orders.len() != seen.orders.len() {
        let detail = format!(
            "{} orders were placed, {} are listed",
            expected.len(),
            seen.orders.len()
        );
        broken.promise("nothing lost", detail);
    }
}

fn money_is_right(seen: &Seen, broken: &mut Broken) {
    const PROMISE: &str = "confirmed payments equal order totals";
    let mut confirmed: HashMap<Uuid, Vec<i64>> = HashMap::new();
    for payment in seen
        .payments
        .iter()
        .filter(|payment| payment.status == "CONFIRMED")
    {
        confirmed
            .entry(payment.order_id)
            .or_default()
            .push(payment.amount);
    }
    for order in &seen.orders {
        let paid = confirmed.remove(&order.order_id).unwrap_or_default();
        let owed = if order.state == "RECEIVED" {
            vec![order.total]
        } else {
            Vec::new()
        };
        if paid != owed {
            let (order_id, state, total) = (order.order_id, &order.state, order.total);
            broken.promise(
                PROMISE,
                format!("order {order_id} is {state} at {total} cents, confirmed: {paid:?}"),
            );
        }
    }
    for order_id in confirmed.keys() {
        broken.promise(
            PROMISE,
            format!("a payment is confirmed for {order_id}, which is no order"),
        );
    }
}

/// Payment by payment: a double charge and a missing one do not make up for each other.
fn the_ledger_agrees(seen: &Seen, broken: &mut Broken) {
    const PROMISE: &str = "the provider's ledger equals the payments";
    let mut ledger: HashMap<&str, &LedgerEntry> = HashMap::new();
    for entry in &seen.ledger {
        ledger.insert(&entry.reference, entry);
    }
    for payment in &seen.payments {
        let (payment_id, status) = (payment.payment_id, &payment.status);
        let entry = ledger.remove(payment_id.to_string().as_str());
        let (charges, confirmed, cents) = entry.map_or((0, 0, 0), |entry| {
            (entry.charges, entry.confirmed, entry.confirmed_minor)
        });
        let agrees = if status == "CONFIRMED" {
            (charges, confirmed, cents) == (1, 1, payment.amount)
        } else {
            charges <= 1 && (confirmed, cents) == (0, 0)
        };
        if !agrees {
            let amount = payment.amount;
            broken.promise(
                PROMISE,
                format!("payment {payment_id} is {status} over {amount} cents; the provider has {charges} charges, {confirmed} confirmed, {cents} cents"),
            );
        }
    }
    for entry in ledger.values() {
        broken.promise(
            PROMISE,
            format!(
                "the provider was asked to charge {}, which is no payment",
                entry.reference
            ),
        );
    }
}

fn received_orders_are_prepared_once(seen: &Seen, broken: &mut Broken) {
    const PROMISE: &str = "each received order prepared exactly once";
    let mut prepared = seen.prepared.clone();
    for order in &seen.orders {
        let requests = prepared.remove(&order.order_id).unwrap_or(0);
        if requests != usize::from(order.state == "RECEIVED") {
            let (order_id, state) = (order.order_id, &order.state);
            broken.promise(
                PROMISE,
                format!(
                    "order {order_id} is {state}, its preparation was requested {requests} times"
                ),
            );
        }
    }
    for order_id in prepared.keys() {
        broken.promise(
            PROMISE,
            format!("a preparation is requested for {order_id}, which is no order"),
        );
    }
}

/// What the customer of an order in this state must have been told.
fn outcome_of(state: &str) -> &'static str {
    match state {
        "RECEIVED" => "received",
        "PAYMENT_PENDING" => "payment_pending",
        "CANCELLED" => "cancelled",
        _ => "nothing",
    }
}

fn customers_are_told_once(expected: &Expected, seen: &Seen, broken: &mut Broken) {
    const PROMISE: &str = "each customer told exactly once";
    let mut mails: HashMap<Option<Uuid>, Vec<&MailSeen>> = HashMap::new();
    for mail in &seen.mails {
        mails.entry(mail.order_id).or_default().push(mail);
    }
    for order in seen.orders.iter().filter(|order| order.is_settled()) {
        let (order_id, state) = (order.order_id, &order.state);
        let told = mails.remove(&Some(order_id)).unwrap_or_default();
        let [mail] = told.as_slice() else {
            let count = told.len();
            broken.promise(
                PROMISE,
                format!("order {order_id} is {state}, its customer has {count} messages"),
            );
            continue;
        };
        if mail.outcome != outcome_of(state) {
            let outcome = &mail.outcome;
            broken.promise(
                PROMISE,
                format!("order {order_id} is {state}, its customer was told `{outcome}`"),
            );
        }
        if expected
            .get(&order_id)
            .is_some_and(|ordered| ordered.email != mail.recipient)
        {
            broken.promise(
                PROMISE,
                format!("the message about order {order_id} went to somebody else"),
            );
        }
    }
    let strays: usize = mails.values().map(Vec::len).sum();
    if strays > 0 {
        broken.promise(
            PROMISE,
            format!("{strays} messages are about no settled order"),
        );
    }
}

/// A demo under faults that did not happen proves nothing.
fn faults_have_hit(thrown: &Thrown, broken: &mut Broken) {
    let provider = &thrown.provider;
    let faults = [
        ("messages published twice", thrown.messages_duplicated),
        ("webhooks delivered twice", provider.webhooks_duplicated),
        ("webhooks out of order", provider.webhooks_reordered),
        ("errors of the provider", provider.errors),
        (
            "requests during the provider's outage",
            provider.refused_during_outage,
        ),
        ("rejected payments", provider.charges_rejected),
        ("handlers crashed", u64::from(thrown.handlers_crashed)),
        (
            "handlers cut off with their consumer",
            u64::from(thrown.handlers_cut_off),
        ),
    ];
    for (fault, count) in faults {
        if count == 0 {
            broken.promise("every fault happened", format!("there were no {fault}"));
        }
    }
}

#[cfg(test)]
mod tests;
