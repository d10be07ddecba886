//! Restarting a server with its data on its ports: in good order, or as if its machine had lost power for a moment.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use super::bringup::await_answer;
use super::process::{Process, Signal};
use super::{Server, Site};
use crate::progress::{Board, Mark};

/// `cargo xtask services restart …`
#[derive(Debug, Args)]
pub(crate) struct Restart {
    server: Server,
    /// End it by SIGKILL instead of asking it to stop.
    #[arg(long)]
    kill: bool,
    /// One node of the Kafka cluster instead of all.
    #[arg(long, value_name = "N")]
    node: Option<u8>,
}

pub(super) fn restart(site: &Site, options: &Restart) -> Result<()> {
    let board = Board::new();
    let task = board.task(options.server.name());
    task.step(if options.kill {
        "killing it and starting it again"
    } else {
        "restarting"
    });
    let signal = options.kill.then_some(Signal::Kill);
    let outcome = stop_and_start(site, options.server, signal, options.node);
    match &outcome {
        Ok(answered) => task.finish(Mark::Passed, &format!("{answered} answers again")),
        Err(error) => task.finish(Mark::Failed, &format!("{error:#}")),
    }
    outcome.map(drop)
}

/// SIGKILL, and up again.
pub(crate) fn kill_and_start(site: &Site, server: Server) -> Result<String> {
    stop_and_start(site, server, Some(Signal::Kill), None)
}

fn stop_and_start(
    site: &Site,
    server: Server,
    signal: Option<Signal>,
    node: Option<u8>,
) -> Result<String> {
    let record = site
        .record(server)
        .with_context(|| format!("{} was not started here", server.name()))?;
    ensure!(
        record.container.is_none(),
        "a server in Docker is restarted with docker compose"
    );
    let role = node.map(|node| format!("node-{node}"));
    // The name server of RabbitMQ's runtime is not the broker.
    let chosen: Vec<&Process> = record
        .processes
        .iter()
        .filter(|process| {
            role.as_ref()
                .map_or(process.role != "epmd", |role| *role == process.role)
        })
        .collect();
    if chosen.is_empty() {
        bail!("{} has no such node", server.name());
    }
    for process in &chosen {
        process.stop(
            signal.unwrap_or(process.launch.stop),
            Duration::from_secs(30),
        )?;
    }
    for process in chosen {
        let again = process.start_again()?;
        site.update(server, |record| {
            record.processes.retain(|known| known.role != again.role);
            record.processes.push(again);
        })?;
    }
    await_answer(site, server)
}
