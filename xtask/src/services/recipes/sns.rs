//! An endpoint that plays SNS and SQS together: moto's server, in a virtual environment of its own, without the races
//! that make it lose messages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::{Recipe, client_port_only, port, url};
use crate::progress::Task;
use crate::services::bringup::Bringup;
use crate::services::process::Launch;
use crate::services::site::Site;
use crate::services::source::{Missing, Program, venv};
use crate::services::state::Urls;
use crate::services::wire;
use crate::workspace::on_path;

const NAME: &str = "moto-5.2.5";
const REQUIREMENT: &str = "moto[server]==5.2.5";
const PROGRAM: &str = "moto_server";
/// Python runs what is called so before anything else, whichever way the server is started.
const MENDED: (&str, &str) = ("sitecustomize.py", include_str!("moto.py"));

#[derive(Debug)]
pub(super) struct Sns;

impl Recipe for Sns {
    fn variable(&self) -> &'static str {
        "SNS_URL"
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
        // A name on PATH is not enough: a version manager leaves one that runs nothing, and the parts of the server are optional.
        if let Some(program) = on_path(PROGRAM).filter(|program| runs(program)) {
            return Some(Program::new("installed", program));
        }
        Some(Program::new(
            "pip",
            venv::cached(site.cache(), NAME, PROGRAM)?,
        ))
    }

    fn obtain(&self, site: &Site, task: &Task) -> Result<Program, Missing> {
        Ok(Program::new(
            "pip",
            venv::fetch(site.cache(), NAME, REQUIREMENT, PROGRAM, task)?,
        ))
    }

    fn start(&self, bringup: &Bringup<'_>, program: &Program) -> Result<()> {
        let port = port(bringup.ports(), "client").to_string();
        let modules = bringup.directory().join("python");
        fs::create_dir_all(&modules)?;
        fs::write(modules.join(MENDED.0), MENDED.1)?;
        let launch = Launch::new(&program.path, bringup.directory())
            .arguments(["-H", "127.0.0.1", "-p", &port])
            .variable("PYTHONPATH", modules.display().to_string());
        bringup.spawn("server", &launch)
    }

    fn verify(&self, urls: &Urls) -> Result<String> {
        wire::aws::topic_round_trip(url(urls, self.variable())?)
    }
}

fn runs(program: &Path) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--help")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
