//! The SQLite backend: against the contract, against the model, killed, shared, trimmed.

mod choosing;
mod clock;
#[cfg(feature = "conformance")]
mod conformance;
mod file;
mod full_disk;
mod group_commit;
mod hand_over;
mod later;
mod letters;
mod migration;
mod model;
mod plans;
mod processes;
mod retention;

use std::path::Path;

use commerce_contracts::CloudEvent;
use tempfile::TempDir;

use super::Sqlite;
use crate::clock::Clock;
use crate::message::Message;
use crate::name::{SubscriptionName, TopicName};

fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

async fn open(path: &Path, settings: &str) -> Sqlite {
    let url = format!("{}?{settings}", path.display());
    Sqlite::connect(&url, Clock::new())
        .await
        .expect("the file opens")
}

fn topic() -> TopicName {
    TopicName::new("orders").expect("a valid name")
}

fn name() -> SubscriptionName {
    SubscriptionName::new("billing").expect("a valid name")
}

fn message(key: Option<&str>, data: impl Into<bytes::Bytes>) -> Message {
    let event = CloudEvent::new("/test", "test.sqlite.run.v1").expect("a valid event");
    let event = event
        .with_data("text/plain", data.into())
        .expect("a valid event");
    let event = match key {
        Some(key) => event.with_key(key).expect("a valid key"),
        None => event,
    };
    Message::new(topic(), event)
}
