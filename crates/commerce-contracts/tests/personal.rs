//! Personal data is listed and marked, and no `Debug` shows it.
#![cfg(all(feature = "derive", feature = "vocabulary"))]

use std::collections::BTreeMap;

use commerce_contracts::avro::AvroSchema;
use commerce_contracts::commerce::{
    Currency, Customer, CustomerId, Money, OrderCancelled, OrderCreated, OrderId,
    OrderPaymentPending, OrderReceived, OrganizationId, PaymentConfirmed, PaymentId,
    PreparationRequested,
};
use commerce_contracts::{Contract, Event, PersonalData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(PersonalData, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(rename_all = "camelCase")]
struct Person {
    id: u64,
    #[event(personal)]
    full_name: String,
    #[event(personal)]
    #[serde(rename = "doc")]
    document: Option<Document>,
    #[serde(default)]
    friends: Vec<Person>,
}

#[derive(PersonalData, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Document(String);

#[derive(PersonalData, Event, Serialize, Deserialize, JsonSchema)]
#[event(
    name = "people.family.registered",
    version = 1,
    topic = "people",
    key = "id"
)]
struct Registered {
    id: u64,
    head: Person,
    #[event(personal)]
    r#type: String,
    by_role: BTreeMap<String, Vec<Person>>,
    guest: Option<Person>,
}

fn person(name: &str) -> Person {
    Person {
        id: 7,
        full_name: format!("SECRET {name}"),
        document: Some(Document("SECRET-1".into())),
        friends: Vec::new(),
    }
}

fn registered() -> Registered {
    let mut head = person("Ana");
    head.friends.push(person("Bia"));
    Registered {
        id: 1,
        head,
        r#type: "SECRET".into(),
        by_role: BTreeMap::from([("child".into(), vec![person("Caio")])]),
        guest: Some(person("Davi")),
    }
}

#[test]
fn debug_shows_what_is_not_personal_and_nothing_else() {
    let shown = format!("{:?} {:#?}", registered(), registered());
    assert!(!shown.contains("SECRET"), "{shown}");
    assert_eq!(
        format!("{:?}", person("Ana")),
        "Person { id: 7, full_name: [personal], document: [personal], friends: [] }"
    );
    assert_eq!(
        format!("{:?}", Document("SECRET".into())),
        "Document([personal])"
    );
    assert!(format!("{:?}", registered()).contains("type: [personal]"));
}

#[test]
fn the_contract_lists_each_place_once_by_the_names_that_travel() {
    assert_eq!(
        Registered::contract().personal(),
        [
            "/by_role/*/*/doc",
            "/by_role/*/*/fullName",
            "/guest/doc",
            "/guest/fullName",
            "/head/doc",
            "/head/fullName",
            "/type",
        ]
    );
    assert!(PaymentConfirmed::contract().personal().is_empty());
}

#[test]
fn both_schemas_are_marked_where_the_data_is() {
    let contract = Registered::contract();
    for schema in [contract.schema_on_write(), contract.schema_on_read()] {
        for (pointer, marked) in [
            ("/properties/type", true),
            ("/$defs/Person/properties/fullName", true),
            ("/$defs/Person/properties/doc", true),
            ("/$defs/Person/properties/id", false),
            ("/properties/head", false),
        ] {
            let mark = &schema
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{pointer}: {schema}"))["x-personal"];
            assert_eq!(*mark == Value::Bool(true), marked, "{pointer}");
        }
    }
    let avro = contract.avro_schema().unwrap();
    assert_eq!(
        avro.to_json()
            .to_string()
            .matches("\"x-personal\":true")
            .count(),
        3
    );
    // The mark is documentation: it changes neither the bytes nor the fingerprint, and survives the file.
    let again = commerce_contracts::avro::Schema::parse(&avro.to_string()).unwrap();
    assert_eq!(&again, avro);
    assert!(!avro.canonical_form().contains("x-personal"));
}

fn customer() -> Customer {
    Customer {
        customer_id: CustomerId::new(),
        name: "SECRET".into(),
        email: "secret@shop.example".parse().unwrap(),
    }
}

#[test]
fn the_customers_of_the_platform_are_shown_in_no_debug() {
    let money = Money::new(1, Currency::BRL);
    let (organization_id, order_id, now) =
        (OrganizationId::new(), OrderId::new(), chrono::Utc::now());
    let events: [&dyn std::fmt::Debug; 5] = [
        &OrderCreated {
            organization_id,
            order_id,
            reference: None,
            customer: customer(),
            items: Vec::new(),
            freight: money,
            total: money,
            created_at: now,
        },
        &OrderReceived {
            organization_id,
            order_id,
            customer: customer(),
            total: money,
            payment_id: PaymentId::new(),
            attempt: 1,
            received_at: now,
        },
        &OrderPaymentPending {
            organization_id,
            order_id,
            customer: customer(),
            total: money,
            payment_id: PaymentId::new(),
            attempt: 1,
            reason: "no funds".into(),
            pending_at: now,
        },
        &OrderCancelled {
            organization_id,
            order_id,
            customer: customer(),
            total: money,
            reason: "no funds".into(),
            cancelled_at: now,
        },
        &customer().email,
    ];
    for event in events {
        let shown = format!("{event:?} {event:#?}");
        assert!(
            !shown.to_lowercase().contains("secret") && shown.contains("[personal]"),
            "{shown}"
        );
    }
    let with: [&Contract; 4] = [
        OrderCreated::contract(),
        OrderReceived::contract(),
        OrderPaymentPending::contract(),
        OrderCancelled::contract(),
    ];
    for contract in with {
        assert_eq!(
            contract.personal(),
            ["/customer/email", "/customer/name"],
            "{contract:?}"
        );
    }
    assert!(PreparationRequested::contract().personal().is_empty());
}
