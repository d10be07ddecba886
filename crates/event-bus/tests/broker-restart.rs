//! The delivery contract while the broker is killed and started again with its data.
//!
//! Not part of `cargo test`: it kills brokers. `cargo xtask test broker-restart` starts some for it, and runs it.
//! `KAFKA_RESTART_URL`, `AMQP_RESTART_URL` and `SQS_RESTART_URL` say where they are; `KAFKA_RESTART`, `AMQP_RESTART` and
//! `SQS_RESTART` are the commands that kill them, start them again and wait until they answer.

mod servers;

use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use commerce_event_bus::conformance::{self, Factory, Interruption, Verdict};
use commerce_event_bus::{Error, EventBus};

use servers::{PATIENCE, with_settings};

const LOSES_NOTHING: &str = "a_restart_of_the_broker_loses_nothing";
const KEEPS_ORDER: &str = "order_outlasts_a_restart_of_the_broker";
const SETTLES: &str = "what_is_held_through_a_restart_settles_or_comes_again";
const WAITS: &str = "what_waits_outlasts_a_restart";

/// How long RabbitMQ is left alone before it is killed. The names of the queues it runs are written down half a second after
/// one was made, and one that is lost is not run again: its page says so, and no case is about that.
const NAMES_ARE_WRITTEN: Duration = Duration::from_secs(2);

/// After how long RabbitMQ tries again to pass on what was due while it started, and had no way to go yet.
const TRIED_AGAIN: Duration = Duration::from_mins(3);

struct Broker {
    url: String,
    restart: String,
    /// Before it is killed.
    pause: Duration,
    patience: Duration,
}

impl Broker {
    fn named(server: &str, settings: &str) -> Self {
        let variable = |name: &str| {
            let name = format!("{server}_{name}");
            std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set"))
        };
        Self {
            url: match settings {
                "" => variable("RESTART_URL"),
                settings => with_settings(&variable("RESTART_URL"), settings),
            },
            restart: variable("RESTART"),
            pause: Duration::ZERO,
            // The broker has to start as well.
            patience: PATIENCE * 2,
        }
    }

    /// One case after the other: each restarts the broker.
    async fn passes(&self, cases: &[&str]) {
        for case in cases {
            let outcome = conformance::run_case(self, case).await;
            println!("{outcome}");
            assert_eq!(outcome.verdict, Verdict::Passed, "{outcome}");
        }
    }
}

#[async_trait]
impl Factory for Broker {
    async fn connect(&self) -> Result<EventBus, Error> {
        EventBus::connect(&self.url).await
    }

    async fn connect_restartable(
        &self,
    ) -> Result<Option<(EventBus, Box<dyn Interruption>)>, Error> {
        let bus = self.connect().await?;
        let restart = Restart {
            command: self.restart.clone(),
            pause: self.pause,
        };
        Ok(Some((bus, Box::new(restart))))
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn is_disturbed(&self) -> bool {
        true
    }
}

struct Restart {
    command: String,
    pause: Duration,
}

#[async_trait]
impl Interruption for Restart {
    async fn interrupt(&self) {
        tokio::time::sleep(self.pause).await;
        let mut command = Command::new("sh");
        command.args(["-c", &self.command]);
        let ended = tokio::task::spawn_blocking(move || command.output());
        let output = ended.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the broker is gone: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kafka_through_restarts() {
    Broker::named("KAFKA", "partitions=4&commit_interval=100ms")
        .passes(&[LOSES_NOTHING, KEEPS_ORDER, SETTLES, WAITS])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rabbitmq_through_restarts() {
    let broker = |settings| Broker {
        pause: NAMES_ARE_WRITTEN,
        patience: TRIED_AGAIN + PATIENCE * 2,
        ..Broker::named("AMQP", settings)
    };
    broker("").passes(&[LOSES_NOTHING, SETTLES, WAITS]).await;
    // Over several queues the broker itself may move keys when it starts: see what the backend's page says it cannot do.
    broker("partitions=1").passes(&[KEEPS_ORDER]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqs_through_restarts() {
    let broker = Broker::named("SQS", "");
    let endpoint = &broker.url;
    let url =
        format!("sqs://test:test@us-east-1?endpoint={endpoint}&topics=none&refresh=200ms&wait=2s");
    // What is held: ElasticMQ does not remember which groups have a message in hand, and gives out the next one beside it.
    Broker { url, ..broker }
        .passes(&[LOSES_NOTHING, KEEPS_ORDER, WAITS])
        .await;
}
