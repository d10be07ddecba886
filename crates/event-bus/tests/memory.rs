//! The memory backend against the delivery contract, under a paused clock: it must need no real time.

use async_trait::async_trait;
use commerce_event_bus::conformance::{self, Factory};
use commerce_event_bus::{Error, EventBus};

struct Memory;

#[async_trait]
impl Factory for Memory {
    async fn connect(&self) -> Result<EventBus, Error> {
        EventBus::connect("memory:").await
    }
}

commerce_event_bus::conformance_tests!(Memory, start_paused = true);

#[tokio::test(start_paused = true)]
async fn what_does_not_apply_is_what_memory_cannot_do() {
    let report = conformance::run(&Memory).await;
    assert!(report.passed(), "{report}");
    assert_eq!(
        report.not_claimed(),
        [
            // Nothing but events can be put into a memory bus.
            "undecodable_bytes_are_kept_as_they_are",
            "messages_survive_a_new_connection",
            "progress_survives_a_new_connection",
            "attempts_survive_a_new_connection",
            "a_retry_survives_a_new_connection",
            "connections_share_a_subscription",
        ],
        "{report}"
    );
}
