//! An SQS endpoint: ElasticMQ, for its fidelity in receipt handles, FIFO groups and redrive.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Recipe, client_port_only, port, url};
use crate::progress::Task;
use crate::services::bringup::Bringup;
use crate::services::process::Launch;
use crate::services::site::Site;
use crate::services::source::maven::{self, Artifact};
use crate::services::source::{Missing, Program};
use crate::services::state::Urls;
use crate::services::wire;

const NAME: &str = "elasticmq-1.6.16";
const ARTIFACTS: [Artifact; 1] = [("org.elasticmq", "elasticmq-server_2.13", "1.6.16")];

#[derive(Debug)]
pub(super) struct Sqs;

impl Recipe for Sqs {
    fn variable(&self) -> &'static str {
        "SQS_URL"
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
            format!("http://127.0.0.1:{}", port(ports, "client")),
        )
    }

    fn find(&self, site: &Site) -> Option<Program> {
        Some(Program::new("Maven", maven::cached(site.cache(), NAME)?))
    }

    fn obtain(&self, site: &Site, task: &Task) -> Result<Program, Missing> {
        Ok(Program::new(
            "Maven",
            maven::fetch(site.cache(), NAME, &ARTIFACTS, task)?,
        ))
    }

    fn start(&self, bringup: &Bringup<'_>, program: &Program) -> Result<()> {
        let java = maven::java().context("java is not on PATH")?;
        let file = bringup.directory().join("elasticmq.conf");
        let mut text = configuration(port(bringup.ports(), "client"));
        if bringup.is_restarted() {
            text.push_str(&storage(bringup.directory()));
        }
        fs::write(&file, text)?;
        let launch = Launch::new(java, bringup.directory())
            .arguments([
                "-Xmx256m".to_owned(),
                "-XX:+UseSerialGC".to_owned(),
                format!("-Dconfig.file={}", file.display()),
            ])
            .arguments([
                "-cp",
                &maven::class_path(&program.path),
                "org.elasticmq.server.Main",
            ]);
        bringup.spawn("server", &launch)
    }

    fn verify(&self, urls: &Urls) -> Result<String> {
        wire::aws::queue_round_trip(url(urls, self.variable())?)
    }
}

/// One setting per line: ElasticMQ's reader of this format takes nothing else.
fn configuration(port: u16) -> String {
    format!(
        "include classpath(\"application.conf\")
node-address {{
  host = \"127.0.0.1\"
  port = {port}
}}
rest-sqs {{
  bind-hostname = \"127.0.0.1\"
  bind-port = {port}
  sqs-limits = strict
}}
rest-stats {{
  enabled = false
}}
"
    )
}

/// Queues and messages in a database of the server's own, each written before it is answered: in memory alone otherwise.
fn storage(directory: &Path) -> String {
    format!(
        "queues-storage {{
  enabled = true
  path = \"{directory}/queues.conf\"
}}
messages-storage {{
  enabled = true
  driver-class = \"org.h2.Driver\"
  uri = \"jdbc:h2:{directory}/messages;WRITE_DELAY=0\"
  username = \"\"
  password = \"\"
  prune-data-on-init = false
}}
",
        directory = directory.display()
    )
}
