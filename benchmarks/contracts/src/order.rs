//! The event that every contender reads and writes: an order of five items.

use commerce_contracts::Event;
use commerce_contracts::avro::AvroSchema;
use commerce_contracts::commerce;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An order was placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
#[event(name = "shop.order.placed", version = 1, topic = "orders", key = "id")]
pub struct OrderPlaced {
    /// The order.
    pub id: String,
    /// What people call it.
    pub number: String,
    /// Where it was placed.
    pub channel: String,
    /// Who buys.
    pub customer: Customer,
    /// What is bought.
    pub items: Vec<Item>,
    /// The price of the delivery.
    pub freight: Money,
    /// Items and freight.
    pub total: Money,
    /// What the customer asks for.
    pub note: Option<String>,
    /// Where it goes.
    #[schemars(length(min = 8, max = 8))]
    pub postal_code: String,
    /// When, in microseconds of the epoch.
    pub placed_at: i64,
}

/// Who buys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub struct Customer {
    /// The customer.
    pub id: String,
    /// How the customer is addressed.
    pub name: String,
    /// Where the customer reads.
    pub email: String,
}

/// What is bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub struct Item {
    /// What it is.
    pub sku: String,
    /// What people call it.
    pub name: String,
    /// How many.
    #[schemars(range(min = 1))]
    pub quantity: i64,
    /// The price of one.
    pub unit_price: Money,
}

/// An amount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub struct Money {
    /// In the smallest unit.
    pub amount_minor: i64,
    /// ISO 4217.
    #[schemars(length(min = 3, max = 3))]
    pub currency: String,
}

/// The same as the next version of the type has it: one field is gone, one is new, two have changed places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderPlacedNext {
    /// The order.
    pub id: String,
    /// What people call it.
    pub number: String,
    /// Who buys.
    pub customer: Customer,
    /// What is bought.
    pub items: Vec<Item>,
    /// Items and freight.
    pub total: Money,
    /// The price of the delivery.
    pub freight: Money,
    /// What the customer asks for.
    pub note: Option<String>,
    /// Whether it is wrapped.
    pub gift: bool,
    /// Where it goes.
    pub postal_code: String,
    /// When, in microseconds of the epoch.
    pub placed_at: i64,
}

impl OrderPlaced {
    /// The order that is measured.
    pub fn sample() -> Self {
        let money = |amount_minor| Money {
            amount_minor,
            currency: "BRL".to_owned(),
        };
        let item = |index: i64| Item {
            sku: format!("SKU-000{index}"),
            name: format!("Camiseta de algodão, tamanho {index}"),
            quantity: index + 1,
            unit_price: money(4_990 + index),
        };
        Self {
            id: "0199f1a2-7b3c-7d4e-8f5a-6b7c8d9e0f1a".to_owned(),
            number: "2026-000123".to_owned(),
            channel: "web".to_owned(),
            customer: Customer {
                id: "0199f1a2-0000-7d4e-8f5a-6b7c8d9e0f1a".to_owned(),
                name: "Maria da Silva".to_owned(),
                email: "maria@example.com".to_owned(),
            },
            items: (0..5).map(item).collect(),
            freight: money(1_500),
            total: money(76_350),
            note: Some("Entregar na portaria".to_owned()),
            postal_code: "01310100".to_owned(),
            placed_at: 1_795_266_000_000_000,
        }
    }
}

/// The same order as the platform's own vocabulary has it.
pub fn order_created() -> commerce::OrderCreated {
    let money = |minor| commerce::Money::new(minor, commerce::Currency::BRL);
    let order = OrderPlaced::sample();
    let items = order.items.into_iter().map(|item| commerce::OrderItem {
        sku: item.sku.parse().expect("a SKU"),
        name: item.name,
        quantity: commerce::Quantity::new(2).expect("a quantity"),
        unit_price: money(item.unit_price.amount_minor),
    });
    commerce::OrderCreated {
        organization_id: commerce::OrganizationId::new(),
        order_id: commerce::OrderId::new(),
        reference: Some(order.number),
        customer: commerce::Customer {
            customer_id: commerce::CustomerId::new(),
            name: order.customer.name,
            email: order.customer.email.parse().expect("an address"),
        },
        items: items.collect(),
        freight: money(order.freight.amount_minor),
        total: money(order.total.amount_minor),
        created_at: chrono::DateTime::from_timestamp_micros(order.placed_at).expect("a time"),
    }
}
