//! PostgreSQL, trusting loopback connections.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Recipe, client_port_only, port, url};
use crate::progress::Task;
use crate::services::bringup::Bringup;
use crate::services::process::{Launch, Signal, User};
use crate::services::site::Site;
use crate::services::source::{Missing, Program, apt};
use crate::services::state::Urls;
use crate::services::wire::postgresql as wire;
use crate::services::wire::url::with_path;
use crate::workspace::on_path;

const DATABASE: &str = "commerce";

#[derive(Debug)]
pub(super) struct PostgreSql;

impl Recipe for PostgreSql {
    fn variable(&self) -> &'static str {
        "DATABASE_URL"
    }

    fn ports(&self, _nodes: u8) -> Vec<String> {
        client_port_only()
    }

    fn docker_ports(&self) -> &'static [&'static str] {
        &["client"]
    }

    fn urls(&self, ports: &BTreeMap<String, u16>) -> Urls {
        let address = format!(
            "postgres://postgres@127.0.0.1:{}/{DATABASE}",
            port(ports, "client")
        );
        super::one_url(self.variable(), address)
    }

    /// The directory with `initdb` and `postgres`; Debian keeps it off PATH.
    fn find(&self, _site: &Site) -> Option<Program> {
        let on_path = on_path("initdb").and_then(|initdb| Some(initdb.parent()?.to_owned()));
        let mut versions: Vec<PathBuf> = ["/usr/lib/postgresql", "/opt/homebrew/opt"]
            .iter()
            .filter_map(|directory| std::fs::read_dir(directory).ok())
            .flat_map(|entries| entries.flatten().map(|entry| entry.path().join("bin")))
            .filter(|directory| directory.join("initdb").is_file())
            .collect();
        versions.sort_by_key(|directory| version(directory));
        let directory = on_path.or_else(|| versions.pop())?;
        Some(Program::new("installed", directory))
    }

    fn obtain(&self, site: &Site, task: &Task) -> Result<Program, Missing> {
        apt::install(&["postgresql"], task)?;
        let program = self
            .find(site)
            .context("postgresql was installed, but initdb is not where it should be")?;
        Ok(Program::new("apt-get", program.path))
    }

    fn start(&self, bringup: &Bringup<'_>, program: &Program) -> Result<()> {
        // PostgreSQL refuses to run as root.
        let user = if apt::is_root() {
            Some(unprivileged_user()?)
        } else {
            None
        };
        let directory = bringup.directory_for(user)?;
        let data = directory.join("data").display().to_string();
        bringup.task().step("initdb");
        let initdb = Launch::new(program.path.join("initdb"), &directory).user(user);
        let options = [
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ];
        initdb.arguments(["-D", &data]).arguments(options).run()?;
        let settings = [
            format!("port={}", port(bringup.ports(), "client")),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            // Every service has a pool of its own, and many tests run side by side.
            "max_connections=300".to_owned(),
        ];
        let server = Launch::new(program.path.join("postgres"), &directory)
            .user(user)
            .stop(Signal::Int)
            .pid_file(directory.join("data/postmaster.pid"));
        let server = server.arguments(["-D", &data]).arguments(
            settings
                .into_iter()
                .flat_map(|setting| ["-c".to_owned(), setting]),
        );
        bringup.spawn("server", &server)
    }

    fn prepare(&self, urls: &Urls) -> Result<()> {
        let address = url(urls, self.variable())?;
        wire::create_database(&with_path(address, "postgres")?, DATABASE)
    }

    fn verify(&self, urls: &Urls) -> Result<String> {
        wire::round_trip(url(urls, self.variable())?)
    }
}

/// The number in a path such as `/usr/lib/postgresql/15/bin` or `…/postgresql@17/bin`.
fn version(directory: &Path) -> u32 {
    let name = directory
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_string_lossy();
    name.rsplit('@')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn unprivileged_user() -> Result<User> {
    let number = |flag: &str, name: &str| -> Option<u32> {
        let output = Command::new("id")
            .args([flag, name])
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| Some(User { uid: number("-u", name)?, gid: number("-g", name)? }))
        .context("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_wins_by_number() {
        assert!(
            version(Path::new("/usr/lib/postgresql/15/bin"))
                > version(Path::new("/usr/lib/postgresql/9/bin"))
        );
        assert_eq!(
            version(Path::new("/opt/homebrew/opt/postgresql@17/bin")),
            17
        );
    }
}
