//! Personal data is listed and marked, and no `Debug` shows it.
#![cfg(all(feature = "derive", feature = "vocabulary"))]

use std::collections::BTreeMap;

use commerce_contracts::avro::AvroSchema;
use commerce_contracts::commerce::{
    Currency, Customer, CustomerId, EmailAddress, Money, OrderCancelled, OrderCreated, OrderId,
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
            "/by_role/*/*/friends/**/doc",
            "/by_role/*/*/friends/**/fullName",
            "/by_role/*/*/fullName",
            "/guest/doc",
            "/guest/friends/**/doc",
            "/guest/friends/**/fullName",
            "/guest/fullName",
            "/head/doc",
            "/head/friends/**/doc",
            "/head/friends/**/fullName",
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

/// A type that is personal wherever it is, and needs no mark.
#[derive(PersonalData, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Phone(String);

#[derive(
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Clone,
    Copy,
    Serialize,
    Deserialize,
    JsonSchema,
    AvroSchema,
)]
#[serde(rename_all = "snake_case")]
enum Role {
    Buyer,
    Payer,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Code(#[schemars(regex(pattern = "^[A-Z]+$"))] String);

#[derive(PersonalData, Serialize, Deserialize, JsonSchema, AvroSchema)]
struct Contact {
    #[event(personal)]
    street: String,
    email: Option<EmailAddress>,
}

#[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "people.list.made", version = 1, topic = "people", key = "id")]
struct ListMade {
    id: u64,
    by_number: BTreeMap<u32, Contact>,
    by_code: BTreeMap<Code, Contact>,
    by_role: BTreeMap<Role, Contact>,
    phones: Vec<Phone>,
    #[serde(alias = "mail")]
    email: EmailAddress,
}

#[test]
fn types_that_are_personal_need_no_mark_and_maps_of_any_key_lose_none() {
    let contract = ListMade::contract();
    assert_eq!(
        contract.personal(),
        [
            "/by_code/*/email",
            "/by_code/*/street",
            "/by_number/*/email",
            "/by_number/*/street",
            "/by_role/*/email",
            "/by_role/*/street",
            "/email",
            "/phones",
        ]
    );
    for schema in [contract.schema_on_write(), contract.schema_on_read()] {
        for pointer in [
            "/properties/email",
            "/properties/phones",
            "/$defs/Contact/properties/street",
            "/$defs/Contact/properties/email",
        ] {
            let mark = &schema.pointer(pointer).unwrap()["x-personal"];
            assert_eq!(*mark, Value::Bool(true), "{pointer}: {schema}");
        }
    }
    // Under its other name it is no less personal.
    assert_eq!(
        contract.schema_on_read()["properties"]["mail"]["x-personal"],
        Value::Bool(true)
    );
    assert!(contract.schema_on_write()["properties"]["mail"].is_null());
}

/// Where only one kind of map leads to the type, its mark comes from there.
#[test]
fn each_kind_of_map_is_followed_by_itself() {
    macro_rules! marked {
        ($name:literal, $key:ty) => {{
            #[derive(PersonalData, Serialize, Deserialize, JsonSchema, AvroSchema)]
            struct Person {
                #[event(personal)]
                street: String,
            }
            #[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
            #[event(name = $name, version = 1, topic = "people", key = "id")]
            struct Happened {
                id: u64,
                people: BTreeMap<$key, Person>,
            }
            let schema = Happened::contract().schema_on_write();
            schema["$defs"]["Person"]["properties"]["street"]["x-personal"].clone()
        }};
    }
    assert_eq!(marked!("people.keyed.text", String), Value::Bool(true));
    assert_eq!(marked!("people.keyed.number", i64), Value::Bool(true));
    assert_eq!(marked!("people.keyed.code", Code), Value::Bool(true));
    assert_eq!(marked!("people.keyed.role", Role), Value::Bool(true));
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
