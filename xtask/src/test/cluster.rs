//! Kafka with three nodes, for the test that takes one away.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::tally::Row;
use crate::progress::Task;
use crate::services::{self, Availability, Server, Site, Up};
use crate::workspace::Workspace;

const TEST: &str = "kafka-cluster";

/// Starts a cluster, runs the test, removes the cluster.
pub(super) fn run(name: &str, workspace: &Workspace, task: &Task, logs: &Path) -> Row {
    let started = Instant::now();
    let row = match in_cluster(workspace, task, logs) {
        Ok(Ran::Passed) => Row::passed(name, "the contract held while a node died".to_owned()),
        Ok(Ran::Without(reason)) => Row::skipped(name, &reason),
        Err(error) => Row::failed(name, format!("{error:#}")),
    };
    row.time(started.elapsed())
}

enum Ran {
    Passed,
    Without(String),
}

fn in_cluster(workspace: &Workspace, task: &Task, logs: &Path) -> Result<Ran> {
    let directory = workspace.cluster_directory();
    let _lock = services::lock(&directory)?;
    let shared = Site::open(workspace)?.state().urls();
    let site = Site::open_in(workspace, &directory)?.beside(shared);
    // What an interrupted run left has lost its node.
    services::down(&site, &[Server::Kafka])?;
    task.step("starting Kafka, 3 nodes");
    let report = services::up(
        &site,
        &Up {
            servers: vec![Server::Kafka],
            kafka_nodes: Some(3),
        },
    )?;
    let ran = match report.servers.into_iter().next() {
        Some((_, Availability::Up { .. }, _)) => test(workspace, &site, task, logs),
        Some((_, Availability::Missing(missing), _)) => Ok(Ran::Without(missing.reason)),
        Some((_, Availability::Failed(error), _)) => Err(error.context("Kafka does not start")),
        None => bail!("Kafka was not started"),
    };
    services::down(&site, &[Server::Kafka])?;
    ran
}

fn test(workspace: &Workspace, site: &Site, task: &Task, logs: &Path) -> Result<Ran> {
    let record = site.record(Server::Kafka);
    let Some((url, node)) = record.as_ref().and_then(|record| {
        let url = record.urls.get("KAFKA_URL")?;
        Some((url, record.processes.last()?.pid))
    }) else {
        return Ok(Ran::Without(
            "a cluster that was not started here loses no node".to_owned(),
        ));
    };
    task.step("checking the contract while a node dies");
    let file = logs.join(TEST).with_extension("log");
    let log =
        File::create(&file).with_context(|| format!("{} cannot be written", file.display()))?;
    let status = workspace
        .cargo()
        .args(super::cargo::SHAPE)
        .args(["--test", TEST, "--", "--show-output"])
        .env("KAFKA_CLUSTER_URL", url)
        .env("KAFKA_CLUSTER_VICTIM", node.to_string())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .context("cargo test could not be run")?;
    if !status.success() {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let failed: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("FAILED  ") || line.starts_with("error"))
            .collect();
        bail!(
            "the test ended with {status}; see {}\n{}",
            file.display(),
            failed.join("\n")
        );
    }
    Ok(Ran::Passed)
}
