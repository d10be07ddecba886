//! How each server is found, started and verified: one file per server.

mod certificate;
mod kafka;
mod kafka_secured;
mod postgresql;
mod rabbitmq;
mod redis;
mod registry;
mod sns;
mod sqs;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::Server;
use super::bringup::Bringup;
use super::site::Site;
use super::source::{Missing, Program};
use super::state::Urls;
use crate::progress::Task;

pub(crate) use certificate::authority;

/// What is particular to one server.
pub(crate) trait Recipe: Sync {
    /// The variable that names a server which runs already.
    fn variable(&self) -> &'static str;

    /// The ports it needs; `client` is the one in its address.
    fn ports(&self, nodes: u8) -> Vec<String>;

    /// Those of its ports that `deploy/compose.yaml` publishes.
    fn docker_ports(&self) -> &'static [&'static str];

    /// What tests need to reach it.
    fn urls(&self, ports: &BTreeMap<String, u16>) -> Urls;

    /// Something installed, or downloaded before, that can be started at once.
    fn find(&self, site: &Site) -> Option<Program>;

    /// Installs or downloads it.
    fn obtain(&self, site: &Site, task: &Task) -> Result<Program, Missing>;

    /// Starts its processes; returns without waiting for them to be ready.
    fn start(&self, bringup: &Bringup<'_>, program: &Program) -> Result<()>;

    /// What a server started here still lacks once it answers.
    fn prepare(&self, _urls: &Urls) -> Result<()> {
        Ok(())
    }

    /// A real round trip; answers with what is there.
    fn verify(&self, urls: &Urls) -> Result<String>;

    /// Refuses a server of the right kind that is not what was asked for.
    fn check_nodes(&self, _urls: &Urls, _nodes: u8) -> Result<()> {
        Ok(())
    }
}

impl Server {
    pub(crate) fn recipe(self) -> &'static dyn Recipe {
        match self {
            Self::Kafka => &kafka::Kafka,
            Self::RabbitMq => &rabbitmq::RabbitMq,
            Self::PostgreSql => &postgresql::PostgreSql,
            Self::Redis => &redis::Redis,
            Self::Sqs => &sqs::Sqs,
            Self::Sns => &sns::Sns,
            Self::Registry => &registry::Registry,
        }
    }
}

fn url<'a>(urls: &'a Urls, variable: &str) -> Result<&'a str> {
    urls.get(variable)
        .map(String::as_str)
        .with_context(|| format!("{variable} is not known"))
}

fn port(ports: &BTreeMap<String, u16>, role: &str) -> u16 {
    ports.get(role).copied().unwrap_or_default()
}

fn client_port_only() -> Vec<String> {
    vec!["client".to_owned()]
}

fn one_url(variable: &str, address: String) -> Urls {
    [(variable.to_owned(), address)].into()
}
