//! The platform's events: written, read back, and as JSON Schema describes them.
#![cfg(all(feature = "vocabulary", feature = "validation"))]

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use commerce_contracts::commerce::{
    Channel, Currency, Customer, CustomerId, CustomerNotified, Money, NotificationId,
    OrderCancelled, OrderCreated, OrderId, OrderItem, OrderPaymentPending, OrderReceived,
    OrganizationId, Outcome, PaymentConfirmed, PaymentId, PaymentMethod, PaymentRejected,
    PaymentRequested, PreparationRequested, Quantity,
};
use commerce_contracts::{CloudEvent, DecodeError, Event};
use proptest::prelude::*;

/// Through the wire and back, and valid under both of its schemas.
fn travels<E: Event + Debug + PartialEq>(sent: &E) {
    let event = sent.event().unwrap();
    let received = CloudEvent::from_json(&event.to_json()).unwrap();
    assert_eq!(received.decode::<E>().as_ref(), Ok(sent));
    E::contract()
        .validate_on_write(&serde_json::to_value(sent).unwrap())
        .unwrap();
}

fn id<T: From<uuid::Uuid> + Debug>() -> impl Strategy<Value = T> {
    any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).into())
}

fn money() -> impl Strategy<Value = Money> {
    (
        any::<i64>(),
        prop::sample::select(vec!["BRL", "JPY", "KWD", "CLF"]),
    )
        .prop_map(|(amount, code)| Money::new(amount, code.parse::<Currency>().unwrap()))
}

fn time() -> impl Strategy<Value = DateTime<Utc>> {
    (0_i64..4_000_000_000, 0_u32..1_000_000_000)
        .prop_map(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos).unwrap())
}

prop_compose! {
    fn customers()(
        customer_id in id::<CustomerId>(),
        name: String,
        email in "[a-z!#$+]{1,9}(\\.[A-Z0-9]{1,9}){0,2}@([a-z0-9]{1,9}\\.){1,3}[a-z]{2,9}",
    ) -> Customer {
        Customer { customer_id, name, email: email.parse().unwrap() }
    }
}

prop_compose! {
    fn items()(sku in "[!-~]([ -~]{0,62}[!-~])?", name: String, quantity in 1_u32.., unit_price in money()) -> OrderItem {
        OrderItem { sku: sku.parse().unwrap(), name, quantity: Quantity::new(quantity).unwrap(), unit_price }
    }
}

proptest! {
    #[test]
    fn events_of_orders_travel(
        (organization_id, order_id, payment_id) in (id::<OrganizationId>(), id::<OrderId>(), id::<PaymentId>()),
        customer in customers(),
        items in prop::collection::vec(items(), 0..4),
        (freight, total) in (money(), money()),
        (reference, reason, attempt) in (any::<Option<String>>(), any::<String>(), any::<u32>()),
        at in time(),
    ) {
        travels(&OrderCreated { organization_id, order_id, reference, customer: customer.clone(), items: items.clone(), freight, total, created_at: at });
        travels(&PaymentRequested { organization_id, order_id, attempt, amount: total, method: PaymentMethod::CreditCard, installments: 3, requested_at: at });
        travels(&OrderReceived { organization_id, order_id, customer: customer.clone(), total, payment_id, attempt, received_at: at });
        travels(&PreparationRequested { organization_id, order_id, items, requested_at: at });
        travels(&OrderPaymentPending { organization_id, order_id, customer: customer.clone(), total, payment_id, attempt, reason: reason.clone(), pending_at: at });
        travels(&OrderCancelled { organization_id, order_id, customer, total, reason, cancelled_at: at });
    }

    #[test]
    fn events_of_payments_and_notifications_travel(
        (organization_id, order_id, payment_id) in (id::<OrganizationId>(), id::<OrderId>(), id::<PaymentId>()),
        notification_id in id::<NotificationId>(),
        (amount, attempt, reason, provider_reference) in (money(), any::<u32>(), any::<String>(), any::<String>()),
        at in time(),
    ) {
        travels(&PaymentConfirmed { organization_id, order_id, payment_id, attempt, amount, provider_reference: provider_reference.clone(), confirmed_at: at });
        travels(&PaymentRejected { organization_id, order_id, payment_id, attempt, amount, reason, provider_reference, rejected_at: at });
        travels(&CustomerNotified { organization_id, order_id, notification_id, outcome: Outcome::PaymentPending, attempt, channel: Channel::Email, notified_at: at });
    }
}

#[test]
fn an_event_is_plain_json() {
    let order_id: OrderId = "0192f0c1-5f00-7000-8000-000000000001".parse().unwrap();
    let requested = PaymentRequested {
        organization_id: "0192f0c1-5f00-7000-8000-000000000002".parse().unwrap(),
        order_id,
        attempt: 1,
        amount: Money::new(1234, Currency::BRL),
        method: PaymentMethod::CreditCard,
        installments: 3,
        requested_at: "2026-11-21T10:00:00Z".parse().unwrap(),
    };
    assert_eq!(
        serde_json::to_value(&requested).unwrap(),
        serde_json::json!({
            "organization_id": "0192f0c1-5f00-7000-8000-000000000002",
            "order_id": "0192f0c1-5f00-7000-8000-000000000001",
            "attempt": 1,
            "amount": { "amount_minor": 1234, "currency": "BRL" },
            "method": "credit_card",
            "installments": 3,
            "requested_at": "2026-11-21T10:00:00Z",
        })
    );
    assert_eq!(requested.key(), order_id.to_string());
    assert_eq!(PaymentRequested::TYPE, "orders.payment.requested.v1");
}

#[test]
fn broken_values_are_found_where_they_are() {
    let data = serde_json::json!({
        "organization_id": "not-a-uuid",
        "order_id": "0192f0c1-5f00-7000-8000-000000000001",
        "attempt": -1,
        "amount": { "amount_minor": 12.5, "currency": "R$" },
        "method": "cash",
        "installments": 1,
        "requested_at": "noon",
    });
    let event = CloudEvent::new("/orders", PaymentRequested::TYPE)
        .unwrap()
        .with_data("application/json", data.to_string())
        .unwrap();
    let Err(DecodeError::Invalid(violations)) = event.decode::<PaymentRequested>() else {
        panic!("it was accepted");
    };
    let mut pointers: Vec<&str> = violations
        .iter()
        .map(|violation| violation.pointer.as_str())
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/amount/amount_minor",
            "/amount/currency",
            "/attempt",
            "/method",
            "/organization_id",
            "/requested_at"
        ]
    );
}

#[test]
fn every_contract_of_the_platform_has_a_name_of_its_own() {
    let contracts = [
        OrderCreated::contract(),
        PaymentRequested::contract(),
        OrderReceived::contract(),
        PreparationRequested::contract(),
        OrderPaymentPending::contract(),
        OrderCancelled::contract(),
        PaymentConfirmed::contract(),
        PaymentRejected::contract(),
        CustomerNotified::contract(),
    ];
    let types: std::collections::BTreeSet<&str> = contracts
        .iter()
        .map(|contract| contract.event_type())
        .collect();
    assert_eq!(types.len(), contracts.len());
    for contract in contracts {
        assert_eq!(
            contract.name().split('.').next(),
            Some(contract.topic()),
            "{contract:?}"
        );
        assert_eq!(contract.key(), "order_id");
    }
}
