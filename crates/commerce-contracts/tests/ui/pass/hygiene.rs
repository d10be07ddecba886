//! The derived code depends on no name that is in scope.
#![allow(non_camel_case_types, dead_code)]

mod core {}
mod std {}
struct Contract;
struct Event;
struct OnceLock;
struct String;
struct u32;

#[derive(commerce_contracts::Event, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[event(name = "orders.order.placed", version = 4, topic = "orders", key = "r#type")]
struct OrderPlaced {
    r#type: ::std::string::String,
}

fn main() {
    let event = OrderPlaced { r#type: "gift".into() };
    let event = commerce_contracts::Event::event(&event).unwrap();
    assert_eq!(event.event_type(), "orders.order.placed.v4");
    assert_eq!(event.key(), Some("gift"));
}
