//! Stopping servers started here, and removing their data.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::source::docker;
use super::{Server, Site};
use crate::progress::{Board, Mark};

/// The data is thrown away, so nothing is lost when a slow server is ended by force.
const GRACE: Duration = Duration::from_secs(5);

/// Takes down every named server that was started here, side by side; answers with their number.
pub(crate) fn down(site: &Site, servers: &[Server]) -> Result<usize> {
    let board = Board::new();
    let known: Vec<Server> = servers
        .iter()
        .copied()
        .filter(|server| site.record(*server).is_some())
        .collect();
    let announced = |server: Server| {
        let task = board.task(server.name());
        task.detail("stopping");
        let outcome = take_down(site, server);
        match &outcome {
            Ok(()) => task.finish(Mark::Passed, "stopped, data removed"),
            Err(error) => task.finish(Mark::Failed, &format!("{error:#}")),
        }
        outcome.with_context(|| format!("{} could not be taken down", server.name()))
    };
    thread::scope(|scope| {
        let threads: Vec<_> = known
            .iter()
            .map(|server| scope.spawn(|| announced(*server)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| anyhow!("stopping a server panicked"))?
        })
    })?;
    Ok(known.len())
}

/// Stops one server, removes its data and forgets it.
pub(super) fn take_down(site: &Site, server: Server) -> Result<()> {
    stop(site, server)?;
    if let Some(record) = site.record(server) {
        // Besides the directory of its own it may have been given another, that its user can reach.
        for directory in [site.directory().join(server.name()), record.data] {
            if directory.exists() {
                fs::remove_dir_all(&directory)
                    .with_context(|| format!("{} cannot be removed", directory.display()))?;
            }
        }
    }
    site.forget(server)
}

/// Ends its processes or its container.
pub(super) fn stop(site: &Site, server: Server) -> Result<()> {
    let Some(record) = site.record(server) else {
        return Ok(());
    };
    if let Some(container) = &record.container {
        docker::remove(site.root(), container)?;
    }
    thread::scope(|scope| {
        let threads: Vec<_> = record
            .processes
            .iter()
            .map(|process| scope.spawn(|| process.stop(process.launch.stop, GRACE)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| anyhow!("stopping a process panicked"))?
        })
    })
}
