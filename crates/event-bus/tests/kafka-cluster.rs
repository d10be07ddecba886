//! The Kafka backend against a cluster of three nodes, one of which dies while the delivery contract is being checked. A
//! connection from before that goes on afterwards.
//!
//! Not part of `cargo test`: it kills a node. `cargo xtask test kafka-cluster` starts a cluster for it, and runs it.

mod servers;

use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use commerce_event_bus::conformance::{self, Factory};
use commerce_event_bus::{Error, EventBus, SubscriptionName, TopicName};
use tokio::time::sleep;

use servers::{PATIENCE, new_topic, publish, receive, subscription, with_settings};

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
    let letters = Letters::reject(&cluster).await;
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
    letters.purge().await;
}

/// Dead letters of several topics, and a connection that knows who led them.
struct Letters {
    bus: EventBus,
    of: Vec<(TopicName, SubscriptionName)>,
}

impl Letters {
    /// So many topics of one partition each that the node to die leads one, all but surely: it leads a third of them.
    const TOPICS: usize = 6;

    async fn reject(cluster: &Cluster) -> Self {
        let bus = cluster.connect().await.unwrap();
        let mut of = Vec::new();
        for _ in 0..Self::TOPICS {
            let topic = new_topic();
            let subscription = subscription(&topic);
            let name = subscription.name.clone();
            let mut subscriber = bus.subscribe(subscription).await.unwrap();
            // The first purge lets the connection hear who leads the dead letters; the second letter stays.
            for number in 0..2 {
                publish(&bus, &topic, None, [number]).await;
                let delivery = receive(&mut subscriber).await;
                delivery.reject("not this time").await.unwrap();
                if number == 0 {
                    assert_eq!(bus.purge_dead_letters(&topic, &name).await.unwrap(), 1);
                }
            }
            of.push((topic, name));
        }
        Self { bus, of }
    }

    /// Whoever led them may have died: the connection has to look for who does now.
    async fn purge(&self) {
        for (topic, name) in &self.of {
            let purged = self.bus.purge_dead_letters(topic, name).await;
            assert_eq!(purged.unwrap(), 1, "of {topic}");
        }
    }
}
