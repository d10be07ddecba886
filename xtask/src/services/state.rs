//! What is running, written down: `state.json` in the services directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::Server;
use super::process::Process;

/// Variable name to address: what a test needs to reach a server.
pub(crate) type Urls = BTreeMap<String, String>;

const FORMAT: u32 = 1;

/// Every server started here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    pub(crate) servers: BTreeMap<Server, Record>,
}

/// One server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// False from its start until it has answered for the first time.
    pub(crate) ready: bool,
    /// Where the program came from: installed, apt-get, Maven, pip, Docker.
    pub(crate) from: String,
    pub(crate) nodes: u8,
    pub(crate) urls: Urls,
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) data: PathBuf,
    pub(crate) processes: Vec<Process>,
    pub(crate) container: Option<Container>,
}

/// A server in Docker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Container {
    pub(crate) project: String,
    pub(crate) service: String,
}

impl Default for State {
    fn default() -> Self {
        Self {
            format: FORMAT,
            servers: BTreeMap::new(),
        }
    }
}

impl State {
    pub(crate) fn load(directory: &Path) -> Result<Self> {
        let file = directory.join("state.json");
        match fs::read(&file) {
            Ok(bytes) => {
                let state: Self = serde_json::from_slice(&bytes).with_context(|| {
                    format!(
                        "{} is not readable; it was written by another version or damaged",
                        file.display()
                    )
                })?;
                ensure!(
                    state.format == FORMAT,
                    "{} has format {}, not {FORMAT}",
                    file.display(),
                    state.format
                );
                Ok(state)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
        }
    }

    /// Replaces the file in one step: another command never reads half of it.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        let (file, draft) = (
            directory.join("state.json"),
            directory.join("state.json.new"),
        );
        fs::write(&draft, serde_json::to_vec_pretty(self)?)
            .and_then(|()| fs::rename(&draft, &file))
            .with_context(|| format!("{} cannot be written", file.display()))
    }

    pub(crate) fn ports(&self) -> BTreeSet<u16> {
        self.servers
            .values()
            .flat_map(|record| record.ports.values().copied())
            .collect()
    }

    /// The addresses of all servers that are ready.
    pub(crate) fn urls(&self) -> Urls {
        self.servers
            .values()
            .filter(|record| record.ready)
            .flat_map(|record| record.urls.clone())
            .collect()
    }
}

/// One command at a time changes servers; a second one waits. The system releases the lock with the process.
pub(crate) fn lock(directory: &Path) -> Result<File> {
    fs::create_dir_all(directory)
        .with_context(|| format!("{} cannot be created", directory.display()))?;
    let file = File::create(directory.join("lock"))
        .with_context(|| format!("{} cannot be written", directory.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!(
                "another command is changing the servers in {}; waiting for it",
                directory.display()
            );
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).context("the services directory cannot be locked");
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn state_is_read_back_as_written() {
        let directory = directory("state");
        assert_eq!(State::load(&directory).unwrap(), State::default());
        let mut state = State::default();
        let record = Record {
            ready: true,
            from: "installed".to_owned(),
            nodes: 1,
            urls: [("REDIS_URL".to_owned(), "redis://127.0.0.1:20001".to_owned())].into(),
            ports: [("client".to_owned(), 20_001)].into(),
            ..Record::default()
        };
        state.servers.insert(Server::Redis, record.clone());
        state.servers.insert(
            Server::Kafka,
            Record {
                ready: false,
                ..record
            },
        );
        state.save(&directory).unwrap();
        let read = State::load(&directory).unwrap();
        assert_eq!(read, state);
        assert_eq!(read.ports(), BTreeSet::from([20_001]));
        assert_eq!(read.urls().into_keys().collect::<Vec<_>>(), ["REDIS_URL"]);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_damaged_or_foreign_file_is_refused_not_overwritten() {
        let directory = directory("damaged-state");
        for text in ["{", "{\"format\":99,\"servers\":{}}"] {
            fs::write(directory.join("state.json"), text).unwrap();
            assert!(State::load(&directory).is_err(), "{text}");
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_lock_is_exclusive() {
        let directory = directory("lock");
        let held = lock(&directory).unwrap();
        let second = File::create(directory.join("lock")).unwrap();
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        second.try_lock().unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}
