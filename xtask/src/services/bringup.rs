//! One server on its way up: ports, directory, processes, and the wait for its first answer.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Server;
use super::process::{Launch, User};
use super::site::Site;
use super::state::{Record, Urls};
use crate::progress::Task;

/// Far more than any of them takes on an idle machine (a cluster of three: 15 s).
const PATIENCE: Duration = Duration::from_secs(150);

/// What a recipe works with.
#[derive(Debug)]
pub(crate) struct Bringup<'a> {
    site: &'a Site,
    server: Server,
    task: &'a Task,
    nodes: u8,
    ports: BTreeMap<String, u16>,
    directory: PathBuf,
}

impl<'a> Bringup<'a> {
    /// Makes an empty directory and takes the ports; writes down both.
    pub(crate) fn begin(
        site: &'a Site,
        server: Server,
        nodes: u8,
        from: &str,
        task: &'a Task,
    ) -> Result<Self> {
        let directory = site.directory().join(server.name());
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("{} cannot be removed", directory.display()))?;
        }
        fs::create_dir_all(&directory)
            .with_context(|| format!("{} cannot be created", directory.display()))?;
        let recipe = server.recipe();
        let ports: BTreeMap<String, u16> = recipe
            .ports(nodes)
            .into_iter()
            .map(|role| Ok((role, site.free_port()?)))
            .collect::<Result<_>>()?;
        site.update(server, |record| {
            *record = Record {
                from: from.to_owned(),
                nodes,
                urls: recipe.urls(&ports),
                ports: ports.clone(),
                data: directory.clone(),
                ..Record::default()
            };
        })?;
        Ok(Self {
            site,
            server,
            task,
            nodes,
            ports,
            directory,
        })
    }

    pub(crate) fn nodes(&self) -> u8 {
        self.nodes
    }

    /// Whether TLS and SASL are wanted too.
    pub(crate) fn is_secured(&self) -> bool {
        self.site.is_secured()
    }

    /// Whether it will be killed and started again, and what it has is to be there then.
    pub(crate) fn is_restarted(&self) -> bool {
        self.site.is_restarted()
    }

    /// One more port than servers of this kind have otherwise; written down.
    pub(crate) fn further_port(&self, role: &str) -> Result<u16> {
        let port = self.site.free_port()?;
        self.site.update(self.server, |record| {
            record.ports.insert(role.to_owned(), port);
        })?;
        Ok(port)
    }

    pub(crate) fn ports(&self) -> &BTreeMap<String, u16> {
        &self.ports
    }

    pub(crate) fn cache(&self) -> &Path {
        self.site.cache()
    }

    pub(crate) fn task(&self) -> &Task {
        self.task
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A directory which that user owns and can reach. Below a home that is closed to others (root's, say) there is none, so
    /// then it is made where temporary files are.
    pub(crate) fn directory_for(&self, user: Option<User>) -> Result<PathBuf> {
        let Some(user) = user else {
            return Ok(self.directory.clone());
        };
        if give(&self.directory, user).is_ok() {
            return Ok(self.directory.clone());
        }
        let mut hasher = DefaultHasher::new();
        self.directory.hash(&mut hasher);
        let elsewhere = std::env::temp_dir().join(format!(
            "commerce-{}-{:016x}",
            self.server.name(),
            hasher.finish()
        ));
        if elsewhere.exists() {
            fs::remove_dir_all(&elsewhere)
                .with_context(|| format!("{} cannot be removed", elsewhere.display()))?;
        }
        fs::create_dir(&elsewhere)
            .with_context(|| format!("{} cannot be created", elsewhere.display()))?;
        self.site
            .update(self.server, |record| record.data.clone_from(&elsewhere))?;
        give(&elsewhere, user)?;
        Ok(elsewhere)
    }

    /// Starts a process and writes it down.
    pub(crate) fn spawn(&self, role: &str, launch: &Launch) -> Result<()> {
        self.task.step(format!("starting {role}"));
        let process = launch.spawn(role)?;
        self.site
            .update(self.server, |record| record.processes.push(process))
    }

    /// Waits for the first complete round trip.
    pub(crate) fn finish(&self) -> Result<String> {
        self.task.detail("waiting for its first answer");
        let answered = await_answer(self.site, self.server)?;
        self.site
            .update(self.server, |record| record.ready = true)?;
        Ok(answered)
    }
}

/// Makes that user the owner, and sees whether it gets there.
fn give(directory: &Path, user: User) -> Result<()> {
    chown(directory, Some(user.uid), Some(user.gid))?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    // Only the user itself can tell whether every directory above lets it through.
    let name = directory.display().to_string();
    Launch::new("test", Path::new("/"))
        .arguments(["-w", &name])
        .user(Some(user))
        .run()
}

/// Tries round trips until one succeeds; gives up early if a process of the server ends.
pub(crate) fn await_answer(site: &Site, server: Server) -> Result<String> {
    let recipe = server.recipe();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let record = site.record(server).context("its record is gone")?;
        let attempt = |urls: &Urls| recipe.prepare(urls).and_then(|()| recipe.verify(urls));
        match attempt(&record.urls) {
            Ok(answered) => return Ok(answered),
            Err(error) => {
                if let Some(ended) = record.processes.iter().find(|process| !process.is_alive()) {
                    bail!("its process {:?} ended; {}", ended.role, ended.last_words());
                }
                if Instant::now() > deadline {
                    let words: Vec<String> = record
                        .processes
                        .iter()
                        .map(super::process::Process::last_words)
                        .collect();
                    return Err(error.context(format!(
                        "it did not answer within {PATIENCE:?}; {}",
                        words.join("\n")
                    )));
                }
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}
