//! What must hold when the demo ends, checked against what the services' public APIs, the provider's ledger
//! and the mailbox say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use uuid::Uuid;

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

/// What was asked for: order and its total in cents.
pub(crate) type Expected = HashMap<Uuid, i64>;

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
    /// For which order.
    pub(crate) order_id: Uuid,
    /// `PENDING`, `CONFIRMED`, `REJECTED`.
    pub(crate) status: String,
    /// Cents.
    pub(crate) amount: i64,
}

/// Everything that was seen at the end.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// From `GET /orders`.
    pub(crate) orders: Vec<OrderSeen>,
    /// From `GET /payments`.
    pub(crate) payments: Vec<PaymentSeen>,
    /// Cents that the provider says were charged, by reference of the charge.
    pub(crate) charged: BTreeMap<String, i64>,
    /// Messages in the mailbox by order.
    pub(crate) told: HashMap<Uuid, usize>,
    /// Deliveries that ended as dead letters, by subscription.
    pub(crate) dead_letters: BTreeMap<String, u64>,
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
    customers_are_told_once(seen, &mut broken);
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
    for (order_id, total) in expected {
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
    let mut received = 0;
    for order in &seen.orders {
        let paid = confirmed.remove(&order.order_id).unwrap_or_default();
        let owed = if order.state == "RECEIVED" {
            vec![order.total]
        } else {
            Vec::new()
        };
        received += owed.iter().sum::<i64>();
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
    let charged: i64 = seen.charged.values().sum();
    if charged != received {
        broken.promise(
            PROMISE,
            format!("the provider charged {charged} cents, received orders cost {received}"),
        );
    }
}

fn customers_are_told_once(seen: &Seen, broken: &mut Broken) {
    const PROMISE: &str = "each customer told exactly once";
    for order in seen.orders.iter().filter(|order| order.is_settled()) {
        let told = seen.told.get(&order.order_id).copied().unwrap_or(0);
        if told != 1 {
            let (order_id, state) = (order.order_id, &order.state);
            broken.promise(
                PROMISE,
                format!("order {order_id} is {state}, its customer has {told} messages"),
            );
        }
    }
    if let Some(stray) = seen.told.get(&Uuid::nil()) {
        broken.promise(
            PROMISE,
            format!("{stray} messages belong to no notification"),
        );
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Expected, OrderSeen, PaymentSeen, Seen, check, lost};

    fn sound() -> (Expected, Seen) {
        let (paid, refused) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let order = |order_id, state: &str, total| OrderSeen {
            order_id,
            state: state.into(),
            total,
        };
        let payment = |order_id, status: &str, amount| PaymentSeen {
            order_id,
            status: status.into(),
            amount,
        };
        let seen = Seen {
            orders: vec![
                order(paid, "RECEIVED", 100),
                order(refused, "PAYMENT_PENDING", 50),
            ],
            payments: vec![
                payment(paid, "CONFIRMED", 100),
                payment(refused, "REJECTED", 50),
            ],
            charged: [("a".to_owned(), 100)].into(),
            told: [(paid, 1), (refused, 1)].into(),
            dead_letters: [("payments".to_owned(), 0)].into(),
        };
        ([(paid, 100), (refused, 50)].into(), seen)
    }

    fn broken(change: impl FnOnce(&mut Expected, &mut Seen)) -> Vec<&'static str> {
        let (mut expected, mut seen) = sound();
        change(&mut expected, &mut seen);
        check(&expected, &seen)
            .into_iter()
            .map(|violation| violation.invariant)
            .collect()
    }

    #[test]
    fn a_sound_end_breaks_nothing() {
        assert_eq!(broken(|_, _| {}), [] as [&str; 0]);
        let (expected, seen) = sound();
        assert_eq!(lost(&expected, &seen), 0);
    }

    #[test]
    fn every_promise_is_watched() {
        assert!(
            broken(|_, seen| {
                seen.orders.pop();
            })
            .contains(&"nothing lost")
        );
        assert!(
            broken(|_, seen| seen.orders[0].state = "CHECKOUT".into())
                .contains(&"every order settled")
        );
        assert!(broken(|_, seen| seen.orders[0].total = 99).contains(&"totals to the cent"));
        assert!(
            broken(|_, seen| seen.payments[0].amount = 99)
                .contains(&"confirmed payments equal order totals")
        );
        assert!(
            broken(|_, seen| {
                let twice = seen.payments[0].clone();
                seen.payments.push(twice);
            })
            .contains(&"confirmed payments equal order totals")
        );
        assert!(
            broken(|_, seen| {
                seen.charged.insert("b".into(), 100);
            })
            .contains(&"confirmed payments equal order totals")
        );
        assert!(
            broken(|_, seen| {
                seen.told.insert(Uuid::from_u128(1), 2);
            })
            .contains(&"each customer told exactly once")
        );
        assert!(
            broken(|_, seen| {
                seen.told.remove(&Uuid::from_u128(2));
            })
            .contains(&"each customer told exactly once")
        );
        assert!(
            broken(|_, seen| {
                seen.told.insert(Uuid::nil(), 1);
            })
            .contains(&"each customer told exactly once")
        );
        assert!(
            broken(|_, seen| {
                seen.dead_letters.insert("payments".into(), 1);
            })
            .contains(&"nothing lost")
        );
    }

    #[test]
    fn an_unsettled_order_is_lost() {
        let (expected, mut seen) = sound();
        seen.orders[0].state = "CHECKOUT".into();
        assert_eq!(lost(&expected, &seen), 1);
    }
}
