//! The place where servers are brought up: directories, ports, and the state that several threads write.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};

use super::Server;
use super::ports::Ports;
use super::state::{Record, State, Urls};
use crate::workspace::Workspace;

/// Shared by the threads that bring one server up each.
#[derive(Debug)]
pub(crate) struct Site {
    root: PathBuf,
    directory: PathBuf,
    cache: PathBuf,
    ports: Ports,
    state: Mutex<State>,
    /// Addresses of another set started here: who has exported them has no server of their own.
    others: Urls,
    is_secured: bool,
    is_restarted: bool,
}

impl Site {
    pub(crate) fn open(workspace: &Workspace) -> Result<Self> {
        Self::open_in(workspace, &workspace.services_directory())
    }

    /// A second set of servers, in a directory of its own.
    pub(crate) fn open_in(workspace: &Workspace, directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("{} cannot be created", directory.display()))?;
        // Servers are started in directories of their own, where a relative path would mean something else.
        let directory = directory.canonicalize()?;
        let state = State::load(&directory)?;
        let ports = Ports::new(&directory, state.ports());
        Ok(Self {
            root: workspace.root().to_owned(),
            directory,
            cache: workspace.cache()?,
            ports,
            state: Mutex::new(state),
            others: Urls::new(),
            is_secured: false,
            is_restarted: false,
        })
    }

    /// Takes these addresses for the project's own wherever the environment names them.
    pub(crate) fn beside(mut self, others: Urls) -> Self {
        self.others = others;
        self
    }

    /// Servers that know how are started with listeners for TLS, passwords and tokens too.
    pub(crate) fn secured(mut self) -> Self {
        self.is_secured = true;
        self
    }

    pub(crate) fn is_secured(&self) -> bool {
        self.is_secured
    }

    /// Servers that forget everything when they end are started so that they do not, where they know how.
    pub(crate) fn restarted(mut self) -> Self {
        self.is_restarted = true;
        self
    }

    pub(crate) fn is_restarted(&self) -> bool {
        self.is_restarted
    }

    /// True if a server started here has that address.
    pub(crate) fn is_own(&self, variable: &str, url: &str) -> bool {
        let state = self.guard();
        let records = state
            .servers
            .values()
            .filter_map(|record| record.urls.get(variable));
        records
            .chain(self.others.get(variable))
            .any(|own| own == url)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    pub(crate) fn free_port(&self) -> Result<u16> {
        self.ports.take()
    }

    pub(crate) fn state(&self) -> State {
        self.guard().clone()
    }

    pub(crate) fn record(&self, server: Server) -> Option<Record> {
        self.guard().servers.get(&server).cloned()
    }

    /// Changes a record and writes it down at once: what was started must be found again whatever happens next.
    pub(crate) fn update(&self, server: Server, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut state = self.guard();
        change(state.servers.entry(server).or_default());
        state.save(&self.directory)
    }

    pub(crate) fn forget(&self, server: Server) -> Result<()> {
        let mut state = self.guard();
        state.servers.remove(&server);
        state.save(&self.directory)
    }

    fn guard(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
