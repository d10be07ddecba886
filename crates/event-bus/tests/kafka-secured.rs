//! Kafka with TLS and SASL.
//!
//! Not part of `cargo test`: it needs a broker of its own. `cargo xtask test kafka-secured` starts one for it, and runs it.

#[path = "kafka/secured.rs"]
mod secured;
mod servers;

use std::time::Duration;

use async_trait::async_trait;
use commerce_event_bus::{Error, ErrorKind, EventBus};

use servers::*;
