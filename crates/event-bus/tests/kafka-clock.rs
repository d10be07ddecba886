//! The cases of the delivery contract in which the clock is set, on a Kafka of their own.
//!
//! Not part of `cargo test`: every bus of a cluster takes part in working off what is for later, and goes by its own clock, so
//! one that is set would be felt by whatever else runs there. `cargo xtask test kafka-clock` starts a broker for it, and
//! runs it; `KAFKA_CLOCK_URL` says where it is.

mod servers;

use std::time::Duration;

use async_trait::async_trait;
use commerce_event_bus::conformance::{self, Factory, Verdict};
use commerce_event_bus::{Clock, Error, EventBus};

use servers::{PATIENCE, connect_with_clock, with_settings};

struct Kafka {
    url: String,
}

#[async_trait]
impl Factory for Kafka {
    async fn connect(&self) -> Result<EventBus, Error> {
        EventBus::connect(&self.url).await
    }

    async fn connect_with_clock(
        &self,
        clock: &Clock,
        connections: usize,
    ) -> Result<Option<Vec<EventBus>>, Error> {
        connect_with_clock(&self.url, clock, connections)
            .await
            .map(Some)
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn watch(&self) -> Duration {
        Duration::from_secs(1)
    }
}

const CASES: [&str; 3] = [
    "a_clock_set_forward_takes_no_work_out_of_hands",
    "a_clock_set_back_takes_no_work_out_of_hands",
    "what_is_for_later_outlasts_a_clock_that_is_set",
];

/// One case after the other, under both group protocols.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clock_that_is_set_moves_nothing() {
    let url = std::env::var("KAFKA_CLOCK_URL").expect("KAFKA_CLOCK_URL is not set");
    for protocol in ["classic", "consumer"] {
        let settings = format!("partitions=4&commit_interval=100ms&protocol={protocol}");
        let kafka = Kafka {
            url: with_settings(&url, &settings),
        };
        for case in CASES {
            let outcome = conformance::run_case(&kafka, case).await;
            println!("{protocol}: {outcome}");
            assert_eq!(outcome.verdict, Verdict::Passed, "{protocol}: {outcome}");
        }
    }
}
