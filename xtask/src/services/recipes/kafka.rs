//! Apache Kafka in KRaft mode, one node or three, each broker and controller in one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::kafka_secured::{self, Secured};
use super::{Recipe, port, url};
use crate::progress::Task;
use crate::services::bringup::Bringup;
use crate::services::process::Launch;
use crate::services::site::Site;
use crate::services::source::maven::{self, Artifact};
use crate::services::source::{Missing, Program};
use crate::services::state::Urls;
use crate::services::wire;

const NAME: &str = "kafka-4.3.0";
/// slf4j-simple writes warnings to the server's log; with no binding at all a failing start would be silent.
const ARTIFACTS: [Artifact; 3] = [
    ("org.apache.kafka", "kafka_2.13", "4.3.0"),
    ("org.apache.kafka", "kafka-tools", "4.3.0"),
    ("org.slf4j", "slf4j-simple", "1.7.36"),
];
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

#[derive(Debug)]
pub(super) struct Kafka;

impl Recipe for Kafka {
    fn variable(&self) -> &'static str {
        "KAFKA_URL"
    }

    fn ports(&self, nodes: u8) -> Vec<String> {
        (1..=nodes)
            .flat_map(|node| [client_port(node), format!("controller-{node}")])
            .collect()
    }

    fn docker_ports(&self) -> &'static [&'static str] {
        &["client"]
    }

    fn urls(&self, ports: &BTreeMap<String, u16>) -> Urls {
        let clients = ports.iter().filter(|(role, _)| role.starts_with("client"));
        let hosts: Vec<String> = clients
            .map(|(_, port)| format!("127.0.0.1:{port}"))
            .collect();
        super::one_url(self.variable(), format!("kafka://{}", hosts.join(",")))
    }

    fn find(&self, site: &Site) -> Option<Program> {
        let home = std::env::var_os("KAFKA_HOME").map(|home| PathBuf::from(home).join("libs"));
        if let Some(libraries) =
            home.filter(|libraries| libraries.is_dir() && maven::java().is_some())
        {
            return Some(Program::new("KAFKA_HOME", libraries));
        }
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
        let secured = if bringup.is_secured() {
            Some(Secured::prepare(bringup)?)
        } else {
            None
        };
        let launches: Vec<(Launch, Launch)> = (1..=bringup.nodes())
            .map(|node| {
                // Who asks for TLS and passwords asks one node.
                let secured = secured.as_ref().filter(|_| node == 1);
                prepare_node(bringup, node, secured, &java, &program.path)
            })
            .collect::<Result<_>>()?;
        bringup.task().step("formatting the log directories");
        thread::scope(|scope| {
            let formats: Vec<_> = launches
                .iter()
                .map(|(format, _)| scope.spawn(|| format.run()))
                .collect();
            formats
                .into_iter()
                .try_for_each(|format| format.join().map_err(|_| anyhow!("formatting panicked"))?)
        })?;
        for (node, (_, broker)) in (1..).zip(&launches) {
            bringup.spawn(&format!("node-{node}"), broker)?;
        }
        Ok(())
    }

    fn verify(&self, urls: &Urls) -> Result<String> {
        let url = url(urls, self.variable())?;
        // Every node has to be there, not just the first to answer.
        let expected = url.matches(',').count() + 1;
        let present = wire::kafka::nodes(url)?;
        ensure!(
            present >= expected,
            "{present} of {expected} nodes have joined"
        );
        wire::kafka::round_trip(url)
    }

    fn check_nodes(&self, urls: &Urls, nodes: u8) -> Result<()> {
        let present = wire::kafka::nodes(url(urls, self.variable())?)?;
        ensure!(
            present == usize::from(nodes),
            "the cluster's size is {present}, and {nodes} was asked for"
        );
        Ok(())
    }
}

fn client_port(node: u8) -> String {
    if node == 1 {
        "client".to_owned()
    } else {
        format!("client-{node}")
    }
}

/// Writes a node's configuration; returns what formats its storage and what runs it.
fn prepare_node(
    bringup: &Bringup<'_>,
    node: u8,
    secured: Option<&Secured>,
    java: &Path,
    jars: &Path,
) -> Result<(Launch, Launch)> {
    let directory = bringup.directory().join(format!("node-{node}"));
    fs::create_dir_all(&directory)?;
    let file = directory.join("server.properties");
    let mut text = properties(node, bringup.nodes(), bringup.ports(), secured, &directory);
    if let Some(secured) = secured {
        text.push_str(&secured.properties());
    }
    fs::write(&file, text)?;
    let file = file.display().to_string();
    let java = |arguments: &[&str]| {
        let launch = Launch::new(java, &directory).arguments(arguments.iter().copied());
        launch.arguments([
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            &maven::class_path(jars),
        ])
    };
    let format = java(&["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]).arguments([
        "kafka.tools.StorageTool",
        "format",
        "-t",
        CLUSTER_ID,
        "-c",
        &file,
    ]);
    let format = match secured {
        None => format,
        Some(_) => format.arguments(kafka_secured::USERS),
    };
    let broker = java(&["-Xmx512m"]).arguments(["kafka.Kafka", &file]);
    Ok((format, broker))
}

fn properties(
    node: u8,
    nodes: u8,
    ports: &BTreeMap<String, u16>,
    secured: Option<&Secured>,
    directory: &Path,
) -> String {
    let (further, protocols) = secured.map_or_else(Default::default, |secured| {
        (secured.listeners(), kafka_secured::PROTOCOLS)
    });
    let client = port(ports, &client_port(node));
    let controller = port(ports, &format!("controller-{node}"));
    let voters: Vec<String> = (1..=nodes)
        .map(|node| {
            format!(
                "{node}@127.0.0.1:{}",
                port(ports, &format!("controller-{node}"))
            )
        })
        .collect();
    let replicas = nodes.min(3);
    let in_sync = replicas.saturating_sub(1).max(1);
    format!(
        "node.id={node}
process.roles=broker,controller
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}{further}
advertised.listeners=CLIENT://127.0.0.1:{client}{further}
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
log.dirs={directory}/log
# A topic is made by whoever owns it; a misspelt one should fail.
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=8
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=8
# Tests join groups all the time; production waits three seconds for more members.
group.initial.rebalance.delay.ms=0
",
        voters = voters.join(","),
        directory = directory.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nodes_know_each_other_and_replicate() {
        let roles = Kafka.ports(3);
        assert_eq!(
            roles,
            [
                "client",
                "controller-1",
                "client-2",
                "controller-2",
                "client-3",
                "controller-3"
            ]
        );
        let ports: BTreeMap<String, u16> = roles.into_iter().zip(20_000..).collect();
        let text = properties(2, 3, &ports, None, Path::new("/data/node-2"));
        assert!(
            text.contains(
                "controller.quorum.voters=1@127.0.0.1:20001,2@127.0.0.1:20003,3@127.0.0.1:20005\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("advertised.listeners=CLIENT://127.0.0.1:20002\n"),
            "{text}"
        );
        assert!(
            text.contains("\nmin.insync.replicas=2\n")
                && text.contains("log.dirs=/data/node-2/log\n"),
            "{text}"
        );
        let urls = Kafka.urls(&ports);
        assert_eq!(
            urls["KAFKA_URL"],
            "kafka://127.0.0.1:20000,127.0.0.1:20002,127.0.0.1:20004"
        );
    }

    #[test]
    fn one_node_needs_no_other() {
        let ports: BTreeMap<String, u16> = Kafka.ports(1).into_iter().zip(20_000..).collect();
        let text = properties(1, 1, &ports, None, Path::new("/d"));
        assert!(
            text.contains("offsets.topic.replication.factor=1\n")
                && text.contains("\nmin.insync.replicas=1\n"),
            "{text}"
        );
    }
}
