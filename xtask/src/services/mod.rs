//! Real servers for tests and demos: `cargo xtask services up | down | status | env | restart`.

mod bringup;
mod down;
mod ports;
mod process;
mod recipes;
mod restart;
mod site;
mod source;
mod state;
mod status;
mod up;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

pub(crate) use self::process::kill_descendants;
pub(crate) use self::recipes::authority;
pub(crate) use self::site::Site;
pub(crate) use self::state::{Record, Urls, lock};
pub(crate) use self::up::{Availability, up};
use crate::workspace::Workspace;

/// The servers that tests can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Server {
    /// Apache Kafka (KAFKA_URL)
    Kafka,
    /// RabbitMQ (AMQP_URL, AMQP_MANAGEMENT_URL)
    #[value(name = "rabbitmq")]
    RabbitMq,
    /// PostgreSQL (DATABASE_URL)
    #[value(name = "postgresql", alias = "postgres")]
    PostgreSql,
    /// Redis (REDIS_URL)
    Redis,
    /// An SQS endpoint (SQS_URL)
    Sqs,
    /// An SNS and SQS endpoint (SNS_URL)
    Sns,
    /// A schema registry (SCHEMA_REGISTRY_URL)
    Registry,
}

impl Server {
    pub(crate) const ALL: [Self; 7] = [
        Self::Kafka,
        Self::RabbitMq,
        Self::PostgreSql,
        Self::Redis,
        Self::Sqs,
        Self::Sns,
        Self::Registry,
    ];
    /// What `cargo test` can use.
    pub(crate) const OF_THE_WORKSPACE: [Self; 6] = [
        Self::Kafka,
        Self::RabbitMq,
        Self::PostgreSql,
        Self::Redis,
        Self::Sqs,
        Self::Sns,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::RabbitMq => "rabbitmq",
            Self::PostgreSql => "postgresql",
            Self::Redis => "redis",
            Self::Sqs => "sqs",
            Self::Sns => "sns",
            Self::Registry => "registry",
        }
    }
}

/// `cargo xtask services …`
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts servers (all of them, unless some are named) and verifies each by a round trip.
    Up(Up),
    /// Stops servers started here and removes their data.
    Down {
        /// Only these.
        servers: Vec<Server>,
    },
    /// Asks every server for a round trip and shows where it is.
    Status {
        /// Only these.
        servers: Vec<Server>,
    },
    /// Prints the lines that tell a shell where the servers are: `eval "$(cargo xtask services env)"`.
    Env,
    /// Stops a server and starts it again with its data, on the same ports.
    Restart(restart::Restart),
}

/// Which servers, and how many nodes of Kafka.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Up {
    /// Only these.
    pub(crate) servers: Vec<Server>,
    /// Nodes of the Kafka cluster; left out, a running cluster is taken as it is and a new one has one node.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub(crate) kafka_nodes: Option<u8>,
}

/// Runs one of the commands.
pub(crate) fn run(workspace: &Workspace, command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(options) => {
            let _lock = lock(&workspace.services_directory())?;
            let report = up(&Site::open(workspace)?, &options)?;
            report.print();
            Ok(report.exit_code())
        }
        Command::Down { servers } => {
            let _lock = lock(&workspace.services_directory())?;
            let servers = all_unless_some(&servers);
            let mut stopped = down(&Site::open(workspace)?, &servers)?;
            // What an interrupted run of demos may have left.
            let demos = workspace.demo_services_directory();
            if demos.exists() {
                let _lock = lock(&demos)?;
                stopped += down(&Site::open_in(workspace, &demos)?, &servers)?;
            }
            if stopped == 0 {
                eprintln!("nothing that was started here is running");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Status { servers } => Ok(status::status(
            &Site::open(workspace)?,
            &all_unless_some(&servers),
        )),
        Command::Env => {
            status::env(&Site::open(workspace)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Restart(options) => {
            let _lock = lock(&workspace.services_directory())?;
            restart::restart(&Site::open(workspace)?, &options)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

pub(crate) use self::down::down;
pub(crate) use self::restart::kill_and_start;

/// Where a server already runs, by the variable that names it; other variables of the same server may go with it.
fn environment(server: Server) -> Option<Urls> {
    let recipe = server.recipe();
    let known: BTreeMap<String, String> = recipe
        .urls(&BTreeMap::new())
        .into_keys()
        .filter_map(|name| {
            Some((
                name.clone(),
                std::env::var(&name)
                    .ok()
                    .filter(|value| !value.is_empty())?,
            ))
        })
        .collect();
    known.contains_key(recipe.variable()).then_some(known)
}

fn all_unless_some(servers: &[Server]) -> Vec<Server> {
    if servers.is_empty() {
        Server::ALL.to_vec()
    } else {
        servers.to_vec()
    }
}
