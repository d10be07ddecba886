//! Not part of `cargo test`: `KAFKA_SECURED=… cargo test -p commerce-event-bus --all-features --test kafka-secured`.

#[path = "kafka/secured.rs"]
mod secured;
mod servers;

use commerce_event_bus::{Error, ErrorKind, EventBus};

use servers::*;
