//! Every promise is watched: each way to break one is seen.

use uuid::Uuid;

use super::super::faults::{ProviderFaults, Thrown};
use super::{Expected, LedgerEntry, MailSeen, OrderSeen, Ordered, PaymentSeen, Seen, check, lost};

const PAID: Uuid = Uuid::from_u128(1);
const REFUSED: Uuid = Uuid::from_u128(2);

fn sound() -> (Expected, Seen) {
    let order = |order_id, state: &str, total| OrderSeen {
        order_id,
        state: state.into(),
        total,
    };
    let payment = |payment, order_id, status: &str, amount| PaymentSeen {
        payment_id: Uuid::from_u128(payment),
        order_id,
        status: status.into(),
        amount,
    };
    let entry = |payment, confirmed, confirmed_minor| LedgerEntry {
        reference: Uuid::from_u128(payment).to_string(),
        charges: 1,
        confirmed,
        confirmed_minor,
    };
    let mail = |order_id, outcome: &str, recipient: &str| MailSeen {
        order_id: Some(order_id),
        outcome: outcome.into(),
        recipient: recipient.into(),
    };
    let seen = Seen {
        orders: vec![
            order(PAID, "RECEIVED", 100),
            order(REFUSED, "PAYMENT_PENDING", 50),
        ],
        payments: vec![
            payment(11, PAID, "CONFIRMED", 100),
            payment(12, REFUSED, "REJECTED", 50),
        ],
        ledger: vec![entry(11, 1, 100), entry(12, 0, 0)],
        mails: vec![
            mail(PAID, "received", "ana@x.example"),
            mail(REFUSED, "payment_pending", "bia@x.example"),
        ],
        prepared: [(PAID, 1)].into(),
        dead_letters: [("payments".to_owned(), 0)].into(),
        thrown: Some(Thrown {
            messages_duplicated: 1,
            handlers_crashed: 1,
            consumers_aborted: 1,
            handlers_cut_off: 1,
            provider: ProviderFaults {
                errors: 1,
                refused_during_outage: 1,
                webhooks_duplicated: 1,
                webhooks_reordered: 1,
                charges_rejected: 1,
            },
        }),
    };
    let ordered = |total, email: &str| Ordered {
        total,
        email: email.into(),
    };
    let expected = [
        (PAID, ordered(100, "ana@x.example")),
        (REFUSED, ordered(50, "bia@x.example")),
    ];
    (expected.into(), seen)
}

/// The one promise that a change breaks.
fn broken(change: impl FnOnce(&mut Seen)) -> String {
    let (expected, mut seen) = sound();
    change(&mut seen);
    let mut broken: Vec<_> = check(&expected, &seen)
        .into_iter()
        .map(|violation| violation.invariant)
        .collect();
    broken.dedup();
    broken.join(", ")
}

#[test]
fn a_sound_end_breaks_nothing() {
    assert_eq!(broken(|_| {}), "");
    assert_eq!(broken(|seen| seen.thrown = None), "");
    let (expected, seen) = sound();
    assert_eq!(lost(&expected, &seen), 0);
}

#[test]
fn orders_and_totals_are_watched() {
    assert!(broken(|seen| drop(seen.orders.pop())).starts_with("nothing lost"));
    assert!(
        broken(|seen| seen.orders[0].state = "CHECKOUT".into()).contains("every order settled")
    );
    assert!(broken(|seen| seen.orders[0].total = 99).contains("totals to the cent"));
    let dead = |seen: &mut Seen| {
        seen.dead_letters.insert("payments".into(), 1);
    };
    assert_eq!(broken(dead), "nothing lost");
}

#[test]
fn payments_are_watched() {
    let promise = "confirmed payments equal order totals";
    assert!(broken(|seen| seen.payments[0].amount = 99).contains(promise));
    let twice = |seen: &mut Seen| {
        let mut again = seen.payments[0].clone();
        again.payment_id = Uuid::from_u128(13);
        seen.payments.push(again);
    };
    assert!(broken(twice).contains(promise));
}

#[test]
fn the_ledger_is_watched_payment_by_payment() {
    let promise = "the provider's ledger equals the payments";
    assert_eq!(broken(|seen| seen.ledger[0].charges = 2), promise);
    // The sum is right, and both payments are wrong.
    let moved = |seen: &mut Seen| {
        seen.ledger[0].confirmed_minor = 50;
        seen.ledger[1].confirmed_minor = 50;
    };
    assert_eq!(broken(moved), promise);
    assert_eq!(broken(|seen| drop(seen.ledger.remove(0))), promise);
    assert_eq!(broken(|seen| seen.ledger[1].confirmed = 1), promise);
    let stray = |seen: &mut Seen| {
        let mut stray = seen.ledger[1].clone();
        stray.reference = "nobody".into();
        seen.ledger.push(stray);
    };
    assert_eq!(broken(stray), promise);
}

#[test]
fn preparations_are_watched() {
    let promise = "each received order prepared exactly once";
    assert_eq!(broken(|seen| seen.prepared.clear()), promise);
    let insert = |order_id, times| {
        broken(move |seen| {
            seen.prepared.insert(order_id, times);
        })
    };
    assert_eq!(insert(PAID, 2), promise);
    assert_eq!(insert(REFUSED, 1), promise);
    assert_eq!(insert(Uuid::from_u128(9), 1), promise);
}

#[test]
fn messages_to_customers_are_watched() {
    let promise = "each customer told exactly once";
    let twice = |seen: &mut Seen| {
        let again = seen.mails[0].clone();
        seen.mails.push(again);
    };
    assert_eq!(broken(twice), promise);
    assert_eq!(broken(|seen| drop(seen.mails.pop())), promise);
    assert_eq!(
        broken(|seen| seen.mails[0].recipient = "bia@x.example".into()),
        promise
    );
    assert_eq!(
        broken(|seen| seen.mails[0].outcome = "cancelled".into()),
        promise
    );
    let stray = |seen: &mut Seen| {
        let mut stray = seen.mails[0].clone();
        stray.order_id = None;
        seen.mails.push(stray);
    };
    assert_eq!(broken(stray), promise);
}

#[test]
fn faults_that_did_not_happen_are_told() {
    let cases: [fn(&mut Thrown); 8] = [
        |thrown| thrown.messages_duplicated = 0,
        |thrown| thrown.handlers_crashed = 0,
        |thrown| thrown.handlers_cut_off = 0,
        |thrown| thrown.provider.errors = 0,
        |thrown| thrown.provider.refused_during_outage = 0,
        |thrown| thrown.provider.webhooks_duplicated = 0,
        |thrown| thrown.provider.webhooks_reordered = 0,
        |thrown| thrown.provider.charges_rejected = 0,
    ];
    for case in cases {
        let missing = broken(|seen| case(seen.thrown.as_mut().unwrap()));
        assert_eq!(missing, "every fault happened");
    }
}

#[test]
fn an_unsettled_order_is_lost() {
    let (expected, mut seen) = sound();
    seen.orders[0].state = "CHECKOUT".into();
    assert_eq!(lost(&expected, &seen), 1);
}
