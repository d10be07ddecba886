//! The envelope, beside cloudevents-sdk and beside the payload alone.

use std::time::Duration;

use bytes::Bytes;
use commerce_contracts::{CloudEvent, Event, binding};
use contracts_benchmarks::{OrderPlaced, Report, Target};

pub(crate) fn rows(report: &mut Report) {
    let order = OrderPlaced::sample();
    let event = order
        .event()
        .and_then(|event| Ok(event.with_transaction_id("checkout-7")?))
        .and_then(|event| {
            let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            Ok(event.with_trace_parent(trace)?)
        })
        .expect("an event");
    let json = event.to_json();
    let data = event.data().expect("the order").clone();
    let sdk: cloudevents::Event = serde_json::from_slice(&json).expect("an event");

    report.compare(
        "event to JSON",
        Target::None,
        || event.to_json(),
        "cloudevents-sdk",
        || serde_json::to_vec(&sdk).expect("an event"),
    );
    report.compare(
        "event from JSON",
        Target::Ratio(0.35),
        || CloudEvent::from_json(&json).expect("an event"),
        "cloudevents-sdk",
        || serde_json::from_slice::<cloudevents::Event>(&json).expect("an event"),
    );
    report.compare(
        "order from JSON, in its envelope",
        Target::None,
        || {
            let event = CloudEvent::from_json(&json).expect("an event");
            typed(event.data().expect("the order"))
        },
        "serde_json, the order alone",
        || typed(&data),
    );

    let headers = binding::to_headers(&event, "ce_");
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let read = |data: &Bytes| {
        let headers = headers.iter().copied();
        let content_type = Some("application/json");
        binding::from_headers(&["ce_"], headers, content_type, Some(data.clone()))
            .expect("an event")
    };
    report.compare(
        "order from binary mode",
        Target::Extra(Duration::from_micros(1)),
        || (read(&data), typed(&data)),
        "serde_json, the order alone",
        || typed(&data),
    );
}

fn typed(data: &[u8]) -> OrderPlaced {
    serde_json::from_slice(data).expect("the order")
}
