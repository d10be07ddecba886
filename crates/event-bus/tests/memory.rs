//! The memory backend against the delivery contract, under a paused clock: it must need no real time.

use async_trait::async_trait;
use commerce_event_bus::conformance::{self, Factory};
use commerce_event_bus::{Clock, Error, EventBus};

struct Memory;

#[async_trait]
impl Factory for Memory {
    async fn connect(&self) -> Result<EventBus, Error> {
        EventBus::connect("memory:").await
    }

    async fn connect_with_clock(
        &self,
        clock: &Clock,
        connections: usize,
    ) -> Result<Option<Vec<EventBus>>, Error> {
        let bus = EventBus::connector("memory:").clock(clock.clone());
        Ok(Some(vec![bus.connect().await?; connections]))
    }
}

commerce_event_bus::conformance_tests!(Memory, start_paused = true);

#[tokio::test(start_paused = true)]
async fn what_does_not_apply_is_what_memory_cannot_do() {
    let report = conformance::run(&Memory).await.unwrap();
    report.save_where_asked().unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(
        report.not_claimed(),
        [
            // Nobody subscribed yet is no reason to refuse: the log keeps it.
            "what_nobody_would_get_is_not_accepted",
            // One process and its clock are all there is.
            "a_delivery_is_kept_beyond_its_lease",
            "a_delayed_message_survives_its_publisher",
            "a_rejection_outlives_the_loss_of_its_place",
            // Nothing but events can be put into a memory bus.
            "undecodable_bytes_are_kept_as_they_are",
            // There is no connection to break.
            "an_interruption_loses_nothing",
            "what_is_held_through_an_interruption_settles_or_comes_again",
            "a_lost_confirm_is_no_acceptance",
            // It ends with its process.
            "a_restart_of_the_broker_loses_nothing",
            "order_outlasts_a_restart_of_the_broker",
            "what_is_held_through_a_restart_settles_or_comes_again",
            "what_waits_outlasts_a_restart",
            "what_a_killed_process_held_comes_again",
            "messages_survive_a_new_connection",
            "progress_survives_a_new_connection",
            "attempts_survive_a_new_connection",
            "a_retry_survives_a_new_connection",
            "connections_share_a_subscription",
        ],
        "{report}"
    );
}
