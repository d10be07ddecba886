//! RabbitMQ, with the management API and the consistent-hash exchange.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::certificate::Certificate;
use super::{Recipe, port, url};
use crate::progress::Task;
use crate::services::bringup::Bringup;
use crate::services::process::Launch;
use crate::services::site::Site;
use crate::services::source::{Missing, Program, apt};
use crate::services::state::Urls;
use crate::services::wire::{self, http, url::Url};
use crate::workspace::on_path;

const MANAGEMENT: &str = "AMQP_MANAGEMENT_URL";

#[derive(Debug)]
pub(super) struct RabbitMq;

impl Recipe for RabbitMq {
    fn variable(&self) -> &'static str {
        "AMQP_URL"
    }

    fn ports(&self, _nodes: u8) -> Vec<String> {
        ["client", "management", "distribution", "epmd"]
            .map(str::to_owned)
            .into()
    }

    fn docker_ports(&self) -> &'static [&'static str] {
        &["client", "management"]
    }

    fn urls(&self, ports: &BTreeMap<String, u16>) -> Urls {
        let amqp = format!("amqp://guest:guest@127.0.0.1:{}/%2f", port(ports, "client"));
        let management = format!("http://guest:guest@127.0.0.1:{}", port(ports, "management"));
        [
            (self.variable().to_owned(), amqp),
            (MANAGEMENT.to_owned(), management),
        ]
        .into()
    }

    /// The launcher inside the package. The `rabbitmq-server` that Debian puts on PATH changes to another user and to the
    /// system's own data, whatever it is told.
    fn find(&self, _site: &Site) -> Option<Program> {
        let home = std::env::var_os("RABBITMQ_HOME")
            .map(|home| PathBuf::from(home).join("sbin/rabbitmq-server"));
        let usual = [
            "/usr/lib/rabbitmq/bin/rabbitmq-server",
            "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
        ];
        let launcher = home
            .into_iter()
            .chain(usual.map(PathBuf::from))
            .find(|launcher| launcher.is_file())?;
        on_path("erl").map(|_| Program::new("installed", launcher))
    }

    fn obtain(&self, site: &Site, task: &Task) -> Result<Program, Missing> {
        apt::install(&["rabbitmq-server"], task)?;
        let program = self
            .find(site)
            .context("rabbitmq-server was installed, but its launcher is not where it should be")?;
        Ok(Program::new("apt-get", program.path))
    }

    fn start(&self, bringup: &Bringup<'_>, program: &Program) -> Result<()> {
        let directory = bringup.directory();
        let home = directory.join("home");
        fs::create_dir_all(&home)?;
        let mut text = configuration(bringup.ports());
        if bringup.is_secured() {
            let certificate = Certificate::make(bringup)?;
            text.push_str(&secured(bringup.further_port("secured")?, &certificate));
        }
        fs::write(directory.join("rabbitmq.conf"), text)?;
        fs::write(
            directory.join("enabled_plugins"),
            "[rabbitmq_consistent_hash_exchange,rabbitmq_management].\n",
        )?;
        let inside = |name: &str| directory.join(name).display().to_string();
        let epmd_port = port(bringup.ports(), "epmd").to_string();
        // Erlang starts a name server by itself, as a daemon nobody stops, listening on every address; so start one before
        // it, as a process like any other.
        let epmd = on_path("epmd").context("epmd, which comes with Erlang, is not on PATH")?;
        let epmd =
            Launch::new(epmd, directory).arguments(["-port", &epmd_port, "-address", "127.0.0.1"]);
        bringup.spawn("epmd", &epmd.log(directory.join("epmd.log")))?;
        let launch = Launch::new(&program.path, directory)
            .variable("HOME", home.display().to_string())
            .variable("RABBITMQ_NODENAME", "node@localhost")
            .variable("RABBITMQ_DIST_PORT", port(bringup.ports(), "distribution").to_string())
            .variable("ERL_EPMD_ADDRESS", "127.0.0.1")
            .variable("ERL_EPMD_PORT", epmd_port)
            .variable("RABBITMQ_MNESIA_BASE", inside("mnesia"))
            .variable("RABBITMQ_LOG_BASE", inside("log"))
            .variable("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf"))
            .variable("RABBITMQ_ENABLED_PLUGINS_FILE", inside("enabled_plugins"))
            .variable("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            // Schedulers that spin while idle would take time from the tests.
            .variable(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
            );
        bringup.spawn("server", &launch)
    }

    fn verify(&self, urls: &Urls) -> Result<String> {
        let answered = wire::amqp::round_trip(url(urls, self.variable())?)?;
        if let Some(management) = urls.get(MANAGEMENT) {
            let answer = http::request(
                &Url::parse(management, 15672)?,
                "GET",
                "/api/health/checks/alarms",
                &[],
                "",
            )?;
            ensure!(
                answer.status == 200,
                "its health check answered with status {}: {}",
                answer.status,
                answer.body
            );
        }
        Ok(answered)
    }
}

fn configuration(ports: &BTreeMap<String, u16>) -> String {
    format!(
        "listeners.tcp.default = 127.0.0.1:{client}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
log.console = true
log.console.level = warning
log.file = false
",
        client = port(ports, "client"),
        management = port(ports, "management"),
    )
}

/// A listener for TLS, beside the others.
fn secured(port: u16, certificate: &Certificate) -> String {
    let Certificate { authority, key, .. } = certificate;
    format!(
        "listeners.ssl.default = 127.0.0.1:{port}
ssl_options.cacertfile = {authority}
ssl_options.certfile = {authority}
ssl_options.keyfile = {key}
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
",
        authority = authority.display(),
        key = key.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_listeners_use_the_same_ports() {
        let ports: BTreeMap<String, u16> = RabbitMq.ports(1).into_iter().zip(20_000..).collect();
        let urls = RabbitMq.urls(&ports);
        assert_eq!(urls["AMQP_URL"], "amqp://guest:guest@127.0.0.1:20000/%2f");
        assert_eq!(
            urls["AMQP_MANAGEMENT_URL"],
            "http://guest:guest@127.0.0.1:20001"
        );
        let text = configuration(&ports);
        assert!(
            text.contains("127.0.0.1:20000\n") && text.contains("management.tcp.port = 20001\n"),
            "{text}"
        );
    }
}
