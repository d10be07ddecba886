//! The Kafka backend against a cluster of three nodes, one of which dies while the delivery contract is being checked.
//!
//! Not part of `cargo test`: it kills a node. `cargo xtask test kafka-cluster` starts a cluster for it, and runs it.

mod servers;

use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use commerce_event_bus::conformance::{self, Factory};
use commerce_event_bus::{Error, EventBus};
use tokio::time::sleep;

use servers::{PATIENCE, with_settings};

struct Cluster {
    url: String,
}

#[async_trait]
impl Factory for Cluster {
    async fn connect(&self) -> Result<EventBus, Error> {
        // The broker's own defaults replicate to all three, and want two of them for a confirmation.
        EventBus::connect(&with_settings(
            &self.url,
            "partitions=4&commit_interval=100ms",
        ))
        .await
    }

    fn patience(&self) -> Duration {
        // A leader is missed for up to nine seconds before another takes its place.
        PATIENCE + Duration::from_secs(30)
    }

    fn is_disturbed(&self) -> bool {
        true
    }

    fn watch(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contract_holds_while_a_node_dies() {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let cluster = Cluster {
        url: variable("KAFKA_CLUSTER_URL"),
    };
    let victim = variable("KAFKA_CLUSTER_VICTIM");
    let killed = tokio::spawn(async move {
        sleep(Duration::from_secs(8)).await;
        let killed = Command::new("kill").args(["-9", &victim]).status().unwrap();
        assert!(killed.success(), "node {victim} was not there to be killed");
        println!("killed the node with process number {victim}");
    });
    let report = conformance::run_at_once(&cluster, 6).await.unwrap();
    println!("{report}");
    assert!(
        killed.is_finished(),
        "the suite was over before the node died"
    );
    killed.await.unwrap();
    assert!(report.passed(), "{report}");
}
