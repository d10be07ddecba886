//! Suites with servers of their own: because they kill them, or because they want of them what others do not.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::tally::Row;
use crate::progress::Task;
use crate::services::{self, Availability, Record, Server, Site, Up};
use crate::workspace::Workspace;

/// A test, and the servers that are started for it.
#[derive(Debug)]
pub(super) struct Own {
    /// The test, and the suite.
    pub(super) test: &'static str,
    pub(super) servers: &'static [Server],
    pub(super) kafka_nodes: u8,
    /// Whether clients have to say who they are, over TLS.
    pub(super) is_secured: bool,
    /// Whether they are killed and started again, and keep what they have.
    pub(super) is_restarted: bool,
    /// What the test is told about a server.
    pub(super) tell: fn(Server, &Record, &Site) -> Result<Variables>,
    pub(super) remark: &'static str,
}

/// Environment variables and their values.
type Variables = Vec<(String, String)>;

/// Starts the servers, runs the test, removes the servers.
pub(super) fn run(own: &Own, workspace: &Workspace, task: &Task, logs: &Path) -> Row {
    let started = Instant::now();
    let row = match with_servers(own, workspace, task, logs) {
        Ok(Ran::Passed) => Row::passed(own.test, own.remark.to_owned()),
        Ok(Ran::Without(reason)) => Row::skipped(own.test, &reason),
        Err(error) => Row::failed(own.test, format!("{error:#}")),
    };
    row.time(started.elapsed())
}

enum Ran {
    Passed,
    Without(String),
}

fn with_servers(own: &Own, workspace: &Workspace, task: &Task, logs: &Path) -> Result<Ran> {
    let directory = workspace.suite_directory(own.test);
    let open = || -> Result<Site> {
        let shared = Site::open(workspace)?.state().urls();
        let site = Site::open_in(workspace, &directory)?.beside(shared);
        let site = if own.is_secured { site.secured() } else { site };
        Ok(if own.is_restarted {
            site.restarted()
        } else {
            site
        })
    };
    // Not held while the test runs, which may have servers restarted.
    let locked = || services::lock(&directory);
    let started = {
        let _lock = locked()?;
        // What an interrupted run left may have lost something.
        services::down(&open()?, own.servers)?;
        task.step("starting its servers");
        start(own, &open()?)?
    };
    let ran = match started {
        None => test(own, workspace, &open()?, task, logs),
        Some(reason) => Ok(Ran::Without(reason)),
    };
    let _lock = locked()?;
    services::down(&open()?, own.servers)?;
    ran
}

/// Why a server cannot be had, if one cannot.
fn start(own: &Own, site: &Site) -> Result<Option<String>> {
    let kafka = own.servers.contains(&Server::Kafka);
    let report = services::up(
        site,
        &Up {
            servers: own.servers.to_vec(),
            kafka_nodes: kafka.then_some(own.kafka_nodes),
        },
    )?;
    let mut missing = None;
    for (server, availability, _) in report.servers {
        match availability {
            Availability::Up { .. } => {}
            Availability::Missing(why) => missing = Some(why.reason),
            Availability::Failed(error) => {
                services::down(site, own.servers)?;
                return Err(error.context(format!("{} does not start", server.name())));
            }
        }
    }
    Ok(missing)
}

fn test(own: &Own, workspace: &Workspace, site: &Site, task: &Task, logs: &Path) -> Result<Ran> {
    let mut variables = Vec::new();
    for server in own.servers {
        let started = |record: &Record| !record.processes.is_empty();
        let Some(record) = site.record(*server).filter(started) else {
            let name = server.name();
            let reason = format!("{name} was not started here, and the test needs one that was");
            return Ok(Ran::Without(reason));
        };
        variables.extend((own.tell)(*server, &record, site)?);
    }
    task.step("running the test");
    let file = logs.join(own.test).with_extension("log");
    let log =
        File::create(&file).with_context(|| format!("{} cannot be written", file.display()))?;
    let status = workspace
        .cargo()
        .args(super::cargo::SHAPE)
        .args(["--test", own.test, "--", "--show-output"])
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .context("cargo test could not be run")?;
    if !status.success() {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let failed: Vec<&str> = text
            .lines()
            .filter(|line| {
                line.contains("FAILED") || line.starts_with("error") || line.contains("panicked")
            })
            .collect();
        bail!(
            "the test ended with {status}; see {}\n{}",
            file.display(),
            failed.join("\n")
        );
    }
    Ok(Ran::Passed)
}

/// Where the cluster is, and which of its processes may be killed.
pub(super) fn cluster(server: Server, record: &Record, _: &Site) -> Result<Variables> {
    let victim = record.processes.last().context("it has no process")?;
    Ok(vec![
        ("KAFKA_CLUSTER_URL".to_owned(), url(server, record)?),
        ("KAFKA_CLUSTER_VICTIM".to_owned(), victim.pid.to_string()),
    ])
}

/// Where the server is whose clients may have wrong clocks.
pub(super) fn clock(server: Server, record: &Record, _: &Site) -> Result<Variables> {
    let url = url(server, record)?;
    Ok(vec![("KAFKA_CLOCK_URL".to_owned(), url)])
}

/// Where the server is, and the command that kills it and starts it again.
pub(super) fn restart(server: Server, record: &Record, site: &Site) -> Result<Variables> {
    let variable = server.recipe().variable();
    let program = std::env::current_exe()?;
    let command = format!(
        "COMMERCE_SERVICES_DIR='{}' '{}' services restart {} --kill",
        site.directory().display(),
        program.display(),
        server.name()
    );
    Ok(vec![
        (variable.replace("URL", "RESTART_URL"), url(server, record)?),
        (variable.replace("URL", "RESTART"), command),
    ])
}

/// Where the listener for TLS is, and who signed its certificate.
pub(super) fn rabbitmq_secured(_: Server, record: &Record, _: &Site) -> Result<Variables> {
    let port = record.ports.get("secured");
    let port = port.context("it has no listener for TLS")?;
    let authority = services::authority(&record.data);
    let told = format!("127.0.0.1:{port} {}", authority.display());
    Ok(vec![("RABBITMQ_SECURED".to_owned(), told)])
}

/// Where the listeners are that want passwords and tokens, and who signed their certificate.
pub(super) fn kafka_secured(_: Server, record: &Record, _: &Site) -> Result<Variables> {
    let listener = |role: &str| {
        let port = record.ports.get(role);
        let port = port.with_context(|| format!("it has no listener {role}"))?;
        anyhow::Ok(format!("127.0.0.1:{port}"))
    };
    let (passwords, tokens) = (listener("secured")?, listener("tokens")?);
    let authority = services::authority(&record.data);
    let told = format!("{passwords} {tokens} {}", authority.display());
    Ok(vec![("KAFKA_SECURED".to_owned(), told)])
}

/// Where the registry is.
pub(super) fn registry(server: Server, record: &Record, _: &Site) -> Result<Variables> {
    let variable = server.recipe().variable().to_owned();
    Ok(vec![(variable, url(server, record)?)])
}

fn url(server: Server, record: &Record) -> Result<String> {
    let variable = server.recipe().variable();
    record
        .urls
        .get(variable)
        .cloned()
        .with_context(|| format!("{variable} is not known"))
}
