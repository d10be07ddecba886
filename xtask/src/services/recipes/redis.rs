//! Redis, or Valkey, which speaks the same protocol; in memory only.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{Recipe, client_port_only, port, url};
use crate::progress::Task;
use crate::services::bringup::Bringup;
use crate::services::process::Launch;
use crate::services::site::Site;
use crate::services::source::{Missing, Program, apt};
use crate::services::state::Urls;
use crate::services::wire;
use crate::workspace::on_path;

#[derive(Debug)]
pub(super) struct Redis;

impl Recipe for Redis {
    fn variable(&self) -> &'static str {
        "REDIS_URL"
    }

    fn ports(&self, _nodes: u8) -> Vec<String> {
        client_port_only()
    }

    fn docker_ports(&self) -> &'static [&'static str] {
        &["client"]
    }

    fn urls(&self, ports: &BTreeMap<String, u16>) -> Urls {
        super::one_url(
            self.variable(),
            format!("redis://127.0.0.1:{}", port(ports, "client")),
        )
    }

    fn find(&self, _site: &Site) -> Option<Program> {
        let program = on_path("redis-server").or_else(|| on_path("valkey-server"))?;
        Some(Program::new("installed", program))
    }

    fn obtain(&self, site: &Site, task: &Task) -> Result<Program, Missing> {
        apt::install(&["redis-server"], task)?;
        let program = self
            .find(site)
            .context("redis-server was installed, but it is not on PATH")?;
        Ok(Program::new("apt-get", program.path))
    }

    fn start(&self, bringup: &Bringup<'_>, program: &Program) -> Result<()> {
        let port = port(bringup.ports(), "client").to_string();
        let directory = bringup.directory().display().to_string();
        let launch = Launch::new(&program.path, bringup.directory());
        let launch =
            launch.arguments(["--bind", "127.0.0.1", "--port", &port, "--dir", &directory]);
        bringup.spawn(
            "server",
            &launch.arguments(["--save", "", "--appendonly", "no", "--daemonize", "no"]),
        )
    }

    fn verify(&self, urls: &Urls) -> Result<String> {
        wire::redis::round_trip(url(urls, self.variable())?)
    }
}
