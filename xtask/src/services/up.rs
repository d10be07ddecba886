//! Bringing servers up, side by side.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::bringup::{Bringup, await_answer};
use super::source::{Missing, Program, apt, docker};
use super::state::Urls;
use super::wire::url::without_password;
use super::{Server, Site, Up, all_unless_some, down, environment};
use crate::progress::{Board, Mark, Task};
use crate::table::{Table, seconds};
use crate::workspace::in_ci;

/// How the attempt to have one server ended.
#[derive(Debug)]
pub(crate) enum Availability {
    /// It answers.
    Up {
        /// Where, by variable.
        urls: Urls,
        /// What answered.
        answered: String,
        /// Where it came from.
        from: String,
        /// True if it was started now.
        started: bool,
    },
    /// It cannot be had here.
    Missing(Missing),
    /// It is here and does not work.
    Failed(anyhow::Error),
}

/// The outcome for every server asked for.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) servers: Vec<(Server, Availability, Duration)>,
}

impl Report {
    pub(crate) fn urls(&self) -> Urls {
        let up = self
            .servers
            .iter()
            .filter_map(|(_, availability, _)| match availability {
                Availability::Up { urls, .. } => Some(urls.clone()),
                _ => None,
            });
        up.flatten().collect()
    }

    /// Those that were not running before.
    pub(crate) fn started(&self) -> Vec<Server> {
        let started = |availability: &Availability| {
            matches!(availability, Availability::Up { started: true, .. })
        };
        self.servers
            .iter()
            .filter(|(_, availability, _)| started(availability))
            .map(|(server, ..)| *server)
            .collect()
    }

    /// A server that is here and broken is always an error; one that cannot be had is one where it was promised.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let bad = |availability: &Availability| match availability {
            Availability::Up { .. } => false,
            Availability::Missing(_) => in_ci(),
            Availability::Failed(_) => true,
        };
        if self
            .servers
            .iter()
            .any(|(_, availability, _)| bad(availability))
        {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    pub(crate) fn print(&self) {
        let mut table = Table::new(["server", "state", "time", "from", "where"]);
        let mut remarks = Vec::new();
        let mut packages: Vec<&str> = Vec::new();
        for (server, availability, time) in &self.servers {
            let (state, from, place) = match availability {
                Availability::Up {
                    urls,
                    from,
                    answered,
                    ..
                } => {
                    let addresses: Vec<String> = urls
                        .iter()
                        .map(|(name, url)| format!("{name}={}", without_password(url)))
                        .collect();
                    (format!("up: {answered}"), from.clone(), addresses.join(" "))
                }
                Availability::Missing(missing) => {
                    remarks.push(format!("{}: skipped: {}", server.name(), missing.reason));
                    packages.extend(&missing.packages);
                    ("skipped".to_owned(), String::new(), String::new())
                }
                Availability::Failed(error) => {
                    remarks.push(format!("{}: {error:#}", server.name()));
                    ("failed".to_owned(), String::new(), String::new())
                }
            };
            table.row([server.name().to_owned(), state, seconds(*time), from, place]);
        }
        eprint!("\n{}", table.render());
        for remark in remarks {
            eprintln!("\n{remark}");
        }
        if !packages.is_empty() {
            packages.sort_unstable();
            packages.dedup();
            eprintln!(
                "\nto have what is missing, run: {}",
                apt::command_for(&packages)
            );
        }
    }
}

/// Brings up what was asked for, each server in a thread of its own.
pub(crate) fn up(site: &Site, options: &Up) -> Result<Report> {
    let board = Board::new();
    let servers = all_unless_some(&options.servers);
    let tasks: Vec<(Server, Task)> = servers
        .iter()
        .map(|server| (*server, board.task(server.name())))
        .collect();
    let outcomes = thread::scope(|scope| {
        let threads: Vec<_> = tasks
            .iter()
            .map(|(server, task)| {
                scope.spawn(move || {
                    let nodes = options.kafka_nodes.filter(|_| *server == Server::Kafka);
                    let availability = bring_up(site, *server, nodes, task);
                    announce(task, &availability);
                    (*server, availability, task.elapsed())
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread
                .join()
                .map_err(|_| anyhow!("bringing up a server panicked"))
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    Ok(Report { servers: outcomes })
}

fn announce(task: &Task, availability: &Availability) {
    match availability {
        Availability::Up {
            answered,
            started: true,
            ..
        } => task.finish(Mark::Passed, &format!("{answered} is up")),
        Availability::Up { answered, .. } => {
            task.finish(Mark::Passed, &format!("{answered} was up already"));
        }
        Availability::Missing(missing) => {
            task.finish(Mark::Skipped, &format!("skipped: {}", missing.reason));
        }
        Availability::Failed(_) => task.finish(Mark::Failed, "failed"),
    }
}

fn bring_up(site: &Site, server: Server, nodes: Option<u8>, task: &Task) -> Availability {
    match running(site, server, nodes, task) {
        Ok(Some(availability)) => availability,
        Ok(None) => match obtain(site, server, nodes, task) {
            Ok(source) => match start(site, server, nodes.unwrap_or(1), source, task) {
                Ok(availability) => availability,
                Err(error) => Availability::Failed(stop_after(site, server, error)),
            },
            Err(missing) => Availability::Missing(missing),
        },
        Err(error) => Availability::Failed(error),
    }
}

/// A server that runs already: one started here before, or one named by the environment. What is left of one that died is
/// cleared away.
fn running(
    site: &Site,
    server: Server,
    nodes: Option<u8>,
    task: &Task,
) -> Result<Option<Availability>> {
    let recipe = server.recipe();
    let record = site.record(server);
    // Somebody may have exported what `services env` printed; that is no server of their own.
    let foreign = environment(server).filter(|urls| {
        urls.get(recipe.variable())
            .is_some_and(|url| !site.is_own(recipe.variable(), url))
    });
    if let Some(urls) = foreign {
        let variable = recipe.variable();
        task.detail(format!("asking the server that {variable} names"));
        let answered = recipe.verify(&urls).and_then(|answered| {
            nodes.map_or(Ok(()), |nodes| recipe.check_nodes(&urls, nodes))?;
            Ok(answered)
        });
        let answered = answered.map_err(|error| {
            error.context(format!("the server that {variable} names cannot be used; correct the variable, or unset it to have a server started"))
        })?;
        return Ok(Some(Availability::Up {
            urls,
            answered,
            from: variable.to_owned(),
            started: false,
        }));
    }
    let Some(record) = record else {
        return Ok(None);
    };
    let as_wanted = nodes.is_none_or(|nodes| nodes == record.nodes);
    if record.ready
        && as_wanted
        && record
            .processes
            .iter()
            .all(super::process::Process::is_alive)
    {
        task.detail("asking the one that was started before");
        let answered = await_answer(site, server)?;
        return Ok(Some(Availability::Up {
            urls: record.urls,
            answered,
            from: record.from,
            started: false,
        }));
    }
    task.step(if as_wanted {
        "clearing away one that died"
    } else {
        "replacing the one that was started before"
    });
    down::take_down(site, server)?;
    Ok(None)
}

enum Source {
    Program(Program),
    Docker,
}

/// The first source that has it: installed, packages and downloads, Docker.
fn obtain(site: &Site, server: Server, nodes: Option<u8>, task: &Task) -> Result<Source, Missing> {
    let recipe = server.recipe();
    if let Some(program) = recipe.find(site) {
        return Ok(Source::Program(program));
    }
    let missing = match recipe.obtain(site, task) {
        Ok(program) => return Ok(Source::Program(program)),
        Err(missing) => missing,
    };
    task.detail("asking for a Docker engine");
    if !docker::is_here() {
        return Err(Missing {
            reason: format!("{}; and no Docker engine answers", missing.reason),
            ..missing
        });
    }
    if nodes.unwrap_or(1) > 1 {
        return Err(Missing {
            reason: format!(
                "{}; and deploy/compose.yaml has one node only",
                missing.reason
            ),
            ..missing
        });
    }
    Ok(Source::Docker)
}

fn start(
    site: &Site,
    server: Server,
    nodes: u8,
    source: Source,
    task: &Task,
) -> Result<Availability> {
    let from = match &source {
        Source::Program(program) => program.from.clone(),
        Source::Docker => "Docker".to_owned(),
    };
    let bringup = Bringup::begin(site, server, nodes, &from, task)?;
    match source {
        Source::Program(program) => server.recipe().start(&bringup, &program)?,
        Source::Docker => {
            let container = docker::container(site.directory(), server.name());
            site.update(server, |record| record.container = Some(container.clone()))?;
            task.step("docker compose up");
            let published = server.recipe().docker_ports();
            let ports = bringup
                .ports()
                .iter()
                .filter(|(role, _)| published.contains(&role.as_str()));
            docker::start(
                site.root(),
                &container,
                &ports.map(|(role, port)| (role.clone(), *port)).collect(),
            )?;
        }
    }
    let answered = bringup.finish()?;
    let Some(record) = site.record(server) else {
        bail!("its record is gone")
    };
    Ok(Availability::Up {
        urls: record.urls,
        answered,
        from,
        started: true,
    })
}

/// Stops what was started of a server that failed; its data stays until the next attempt, for whoever looks into it.
fn stop_after(site: &Site, server: Server, error: anyhow::Error) -> anyhow::Error {
    match down::stop(site, server) {
        Ok(()) => error,
        Err(stopping) => error.context(format!("and it could not be stopped: {stopping:#}")),
    }
}
