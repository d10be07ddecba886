//! The suites, as data.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::own::{self, Own};
use super::tally::Row;
use crate::demo::{Bus, Demo, Killed, Orders, Stage, Store};
use crate::progress::Task;
use crate::services::Server;
use crate::workspace::Workspace;

/// One line of `cargo xtask test --list`.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Servers that must be up before it starts.
    pub(super) needs: &'static [Server],
    pub(super) work: Work,
}

#[derive(Debug)]
pub(super) enum Work {
    /// `cargo test`.
    Workspace,
    /// A test on servers of its own.
    Own(Own),
    /// The platform's demo, on servers of its own.
    Demo(DemoPlan),
}

#[derive(Debug)]
pub(super) struct DemoPlan {
    bus: Bus,
    store: Store,
    orders: Source,
    /// Kill it after so long and resume it.
    kill_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Sample,
    /// A part of the sample.
    Few,
    Olist,
}

/// As many as the built-in sample has at least.
const SAMPLE: u32 = 300;
/// What moto carries in its time on a busy machine: for every message it counts the whole queue several times.
const FEW: u32 = 40;

pub(super) const SUITES: &[Suite] = &[
    Suite {
        name: "workspace",
        about: "unit, integration and documentation tests of every crate and service",
        needs: &Server::OF_THE_WORKSPACE,
        work: Work::Workspace,
    },
    Suite {
        name: "kafka-cluster",
        about: "the delivery contract on Kafka with three nodes, losing one",
        needs: &[],
        work: Work::Own(Own {
            test: "kafka-cluster",
            servers: &[Server::Kafka],
            kafka_nodes: 3,
            is_secured: false,
            is_restarted: false,
            tell: own::cluster,
            remark: "the contract held while a node died",
        }),
    },
    Suite {
        name: "kafka-clock",
        about: "the delivery contract on Kafka while clocks are set",
        needs: &[],
        work: Work::Own(Own {
            test: "kafka-clock",
            servers: &[Server::Kafka],
            kafka_nodes: 1,
            is_secured: false,
            is_restarted: false,
            tell: own::clock,
            remark: "the contract held while clocks were set",
        }),
    },
    Suite {
        name: "kafka-secured",
        about: "Kafka with TLS, passwords and tokens",
        needs: &[],
        work: Work::Own(Own {
            test: "kafka-secured",
            servers: &[Server::Kafka],
            kafka_nodes: 1,
            is_secured: true,
            is_restarted: false,
            tell: own::kafka_secured,
            remark: "PLAIN, SCRAM and OAUTHBEARER over TLS",
        }),
    },
    Suite {
        name: "rabbitmq-secured",
        about: "the delivery contract on RabbitMQ over TLS",
        needs: &[],
        work: Work::Own(Own {
            test: "rabbitmq-secured",
            servers: &[Server::RabbitMq],
            kafka_nodes: 1,
            is_secured: true,
            is_restarted: false,
            tell: own::rabbitmq_secured,
            remark: "the contract held over TLS",
        }),
    },
    Suite {
        name: "broker-restart",
        about: "the delivery contract while Kafka, RabbitMQ and SQS are killed and started again",
        needs: &[],
        work: Work::Own(Own {
            test: "broker-restart",
            servers: &[Server::Kafka, Server::RabbitMq, Server::Sqs],
            kafka_nodes: 1,
            is_secured: false,
            is_restarted: true,
            tell: own::restart,
            remark: "the contract held while brokers were restarted",
        }),
    },
    Suite {
        name: "schema-registry",
        about: "the tool `contracts` against a schema registry",
        needs: &[],
        work: Work::Own(Own {
            test: "schema-registry",
            servers: &[Server::Registry],
            kafka_nodes: 1,
            is_secured: false,
            is_restarted: false,
            tell: own::registry,
            remark: "what is registered is read, and breaks are found",
        }),
    },
    demo(
        "demo-memory",
        "the demo, bus in memory, SQLite",
        Bus::Memory,
        Store::Sqlite,
        Source::Sample,
    ),
    demo(
        "demo-sqlite",
        "the demo, everything in SQLite",
        Bus::Sqlite,
        Store::Sqlite,
        Source::Sample,
    ),
    Suite {
        name: "demo-sqlite-resume",
        about: "the demo on SQLite, killed in the middle and resumed",
        needs: &[],
        work: Work::Demo(DemoPlan {
            bus: Bus::Sqlite,
            store: Store::Sqlite,
            orders: Source::Sample,
            kill_after: Some(Duration::from_secs(3)),
        }),
    },
    demo(
        "demo-sqlite-olist",
        "the demo on SQLite with the Olist orders",
        Bus::Sqlite,
        Store::Sqlite,
        Source::Olist,
    ),
    demo(
        "demo-rabbitmq",
        "the demo, RabbitMQ and PostgreSQL",
        Bus::RabbitMq,
        Store::PostgreSql,
        Source::Sample,
    ),
    demo(
        "demo-kafka",
        "the demo, Kafka and PostgreSQL",
        Bus::Kafka,
        Store::PostgreSql,
        Source::Sample,
    ),
    demo(
        "demo-sqs",
        "the demo, SQS alone and PostgreSQL",
        Bus::Sqs,
        Store::PostgreSql,
        Source::Sample,
    ),
    demo(
        "demo-sns",
        "the demo, SQS behind SNS, and SQLite",
        Bus::Sns,
        Store::Sqlite,
        Source::Few,
    ),
    demo(
        "demo-kafka-olist",
        "the demo on Kafka and PostgreSQL with the Olist orders",
        Bus::Kafka,
        Store::PostgreSql,
        Source::Olist,
    ),
];

const fn demo(
    name: &'static str,
    about: &'static str,
    bus: Bus,
    store: Store,
    orders: Source,
) -> Suite {
    Suite {
        name,
        about,
        needs: &[],
        work: Work::Demo(DemoPlan {
            bus,
            store,
            orders,
            kill_after: None,
        }),
    }
}

/// Runs a demo; its data is kept if it fails.
pub(super) fn run_demo(
    name: &str,
    plan: &DemoPlan,
    program: Option<&Path>,
    stage: &mut Stage,
    task: &Task,
    workspace: &Workspace,
    logs: &Path,
) -> Row {
    let orders = match plan.orders {
        Source::Sample => Orders::Sample(SAMPLE),
        Source::Few => Orders::Sample(FEW),
        Source::Olist => match olist(workspace) {
            Some(directory) => Orders::Olist(directory),
            None => {
                return Row::skipped(
                    name,
                    "the Olist data is not here: OLIST_DIR does not name its directory",
                );
            }
        },
    };
    task.step("running");
    match attempt(name, plan, &orders, program, stage, logs) {
        Ok(summary) => Row::passed(name, summary),
        Err(error) => Row::failed(name, format!("{error:#}")),
    }
    .time(task.elapsed())
}

fn attempt(
    name: &str,
    plan: &DemoPlan,
    orders: &Orders,
    program: Option<&Path>,
    stage: &mut Stage,
    logs: &Path,
) -> Result<String> {
    let program = program.context("the platform's program was not built")?;
    let place = stage.place(plan.bus, plan.store)?;
    let (data, log) = (logs.join(name), logs.join(format!("{name}.log")));
    if data.exists() {
        fs::remove_dir_all(&data)
            .with_context(|| format!("{} cannot be removed", data.display()))?;
    }
    fs::create_dir_all(&data)?;
    fs::write(&log, "")?;
    let demo = Demo {
        program,
        place: &place,
        orders,
        data: &data,
        log: &log,
    };
    let summary = match plan.kill_after {
        None => demo.run()?,
        Some(after) => {
            ensure!(
                demo.run_until_killed(after)? == Killed::Yes,
                "it had finished before it could be killed after {after:?}"
            );
            demo.resume()?
        }
    };
    fs::remove_dir_all(&data)?;
    Ok(summary)
}

/// `OLIST_DIR`, or the orders in that layout which are in the repository.
fn olist(workspace: &Workspace) -> Option<PathBuf> {
    let named = std::env::var_os("OLIST_DIR").map(PathBuf::from);
    let directory = named.unwrap_or_else(|| {
        workspace
            .root()
            .join("reference-services/platform/tests/olist")
    });
    directory
        .join("olist_orders_dataset.csv")
        .is_file()
        .then_some(directory)
}
