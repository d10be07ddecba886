//! A schema registry: Apicurio, which speaks Confluent's API as well, in memory.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{Recipe, port, url};
use crate::progress::Task;
use crate::services::bringup::Bringup;
use crate::services::process::Launch;
use crate::services::site::Site;
use crate::services::source::{Missing, Program, java, maven};
use crate::services::state::Urls;
use crate::services::wire;

const NAME: &str = "apicurio-registry-3.3.3";
/// Its distribution: the program with everything that it needs.
const ARCHIVE: &str = "io.apicurio:apicurio-registry-app:3.3.3:tar.gz:all";
const JAVA: u32 = 21;

#[derive(Debug)]
pub(super) struct Registry;

impl Recipe for Registry {
    fn variable(&self) -> &'static str {
        "SCHEMA_REGISTRY_URL"
    }

    fn ports(&self, _nodes: u8) -> Vec<String> {
        ["client", "management"].map(str::to_owned).into()
    }

    fn docker_ports(&self) -> &'static [&'static str] {
        &["client"]
    }

    fn urls(&self, ports: &BTreeMap<String, u16>) -> Urls {
        super::one_url(
            self.variable(),
            format!("http://127.0.0.1:{}/apis/ccompat/v7", port(ports, "client")),
        )
    }

    fn find(&self, site: &Site) -> Option<Program> {
        java::find(site.cache(), JAVA)?;
        Some(Program::new("Maven", maven::unpacked(site.cache(), NAME)?))
    }

    fn obtain(&self, site: &Site, task: &Task) -> Result<Program, Missing> {
        java::fetch(site.cache(), JAVA, task).map_err(|missing| Missing {
            reason: format!("it takes Java {JAVA} or newer: {}", missing.reason),
            ..missing
        })?;
        Ok(Program::new(
            "Maven",
            maven::unpack(site.cache(), NAME, ARCHIVE, task)?,
        ))
    }

    fn start(&self, bringup: &Bringup<'_>, program: &Program) -> Result<()> {
        let java = java::find(bringup.cache(), JAVA).context("its Java is gone")?;
        let setting = |name: &str, value: &str| format!("-Dquarkus.{name}={value}");
        let port = |role| port(bringup.ports(), role).to_string();
        let launch = Launch::new(java, bringup.directory())
            // It is started for a few requests: the second compiler would cost more than it gives.
            .arguments(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arguments([
                setting("http.host", "127.0.0.1"),
                setting("http.port", &port("client")),
                setting("management.host", "127.0.0.1"),
                setting("management.port", &port("management")),
            ])
            .arguments([
                "-jar",
                &program.path.join("quarkus-run.jar").display().to_string(),
            ]);
        bringup.spawn("server", &launch)
    }

    fn verify(&self, urls: &Urls) -> Result<String> {
        wire::registry::round_trip(url(urls, self.variable())?)
    }
}
