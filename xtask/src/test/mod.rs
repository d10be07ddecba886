//! `cargo xtask test`: every suite, the servers they need, one table at the end.

mod backends;
mod cargo;
mod libtest;
mod own;
mod suites;
mod tally;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use self::suites::{SUITES, Suite, Work};
use self::tally::{Row, Tally};
use crate::demo::Stage;
use crate::progress::Board;
use crate::services::{self, Availability, Server, Site, Up, Urls};
use crate::workspace::Workspace;

/// `cargo xtask test …`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Suites whose name contains this; if there is none, tests whose name does.
    filter: Option<String>,
    /// Leave the servers running that this command started.
    #[arg(long)]
    keep_services: bool,
    /// Write the table of what the backends do from what their suites find, instead of comparing it.
    #[arg(long)]
    bless: bool,
    /// Only list the suites.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let (chosen, test_filter) = choose(options.filter.as_deref());
    if options.list {
        for suite in chosen {
            println!("{:22} {}", suite.name, suite.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let board = Board::new();
    let mut tally = Tally::new();
    let needed: Vec<Server> = Server::ALL
        .into_iter()
        .filter(|server| chosen.iter().any(|suite| suite.needs.contains(server)))
        .collect();
    let site = Site::open(workspace)?;
    let (urls, started) = servers(workspace, &site, needed, &mut tally)?;

    let mut stage = Stage::new(workspace)?;
    let ran = run_suites(
        workspace,
        &board,
        &Plan {
            suites: &chosen,
            test_filter,
            bless: options.bless,
        },
        &urls,
        &mut stage,
        &mut tally,
    );
    // Whatever went wrong, nothing is left running that was not running before.
    if !options.keep_services {
        stage.close()?;
        if !started.is_empty() {
            let _lock = services::lock(&workspace.services_directory())?;
            services::down(&site, &started)?;
        }
    }
    ran?;
    Ok(tally.finish())
}

/// What is run, and how.
struct Plan<'a> {
    suites: &'a [&'static Suite],
    test_filter: Option<&'a str>,
    bless: bool,
}

fn run_suites(
    workspace: &Workspace,
    board: &Board,
    plan: &Plan<'_>,
    urls: &Urls,
    stage: &mut Stage,
    tally: &mut Tally,
) -> Result<()> {
    let metadata = workspace.metadata()?;
    let logs = Workspace::logs(&metadata)?;
    let built = match cargo::build(workspace, board, &metadata, &logs)? {
        Ok(built) => built,
        Err(failure) => {
            tally.add(Row::failed("build", failure));
            return Ok(());
        }
    };
    let Plan {
        suites,
        test_filter,
        bless,
    } = *plan;
    for suite in suites {
        match &suite.work {
            Work::Workspace => {
                let reports = backends::directory(&logs)?;
                let mut urls = urls.clone();
                let place = reports.to_string_lossy().into_owned();
                urls.insert("CONFORMANCE_REPORTS".into(), place);
                cargo::run(workspace, board, &built, &urls, test_filter, &logs, tally)?;
                if test_filter.is_none() {
                    tally.add(backends::check(workspace, &reports, bless));
                }
            }
            Work::Own(own) => {
                let task = board.task(suite.name);
                let row = own::run(own, workspace, &task, &logs);
                task.finish(row.mark(), &row.remark);
                tally.add(row);
            }
            Work::Demo(plan) => {
                let task = board.task(suite.name);
                let row = suites::run_demo(
                    suite.name,
                    plan,
                    built.platform(),
                    stage,
                    &task,
                    workspace,
                    &logs,
                );
                task.finish(row.mark(), &row.remark);
                tally.add(row);
            }
        }
    }
    Ok(())
}

/// The suites a filter means, and the filter for single tests if it means none.
fn choose(filter: Option<&str>) -> (Vec<&'static Suite>, Option<&str>) {
    let Some(filter) = filter else {
        return (SUITES.iter().collect(), None);
    };
    let chosen: Vec<_> = SUITES
        .iter()
        .filter(|suite| suite.name.contains(filter))
        .collect();
    if chosen.is_empty() {
        return (
            SUITES
                .iter()
                .filter(|suite| matches!(suite.work, Work::Workspace))
                .collect(),
            Some(filter),
        );
    }
    (chosen, None)
}

/// Brings up what the suites need; every server counts as a test of its own.
fn servers(
    workspace: &Workspace,
    site: &Site,
    needed: Vec<Server>,
    tally: &mut Tally,
) -> Result<(Urls, Vec<Server>)> {
    if needed.is_empty() {
        return Ok((Urls::new(), Vec::new()));
    }
    let _lock = services::lock(&workspace.services_directory())?;
    let report = services::up(
        site,
        &Up {
            servers: needed,
            kafka_nodes: None,
        },
    )?;
    for (server, availability, time) in &report.servers {
        let name = format!("server {}", server.name());
        let row = match availability {
            Availability::Up { answered, .. } => Row::passed(&name, answered.clone()),
            Availability::Missing(missing) => Row::skipped(&name, &missing.reason),
            Availability::Failed(error) => Row::failed(&name, format!("{error:#}")),
        };
        tally.add(row.time(*time));
    }
    report.print();
    if report.servers.is_empty() {
        bail!("no server was asked for");
    }
    Ok((report.urls(), report.started()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_means_suites_or_else_tests() {
        assert_eq!(choose(None).0.len(), SUITES.len());
        let (suites, tests) = choose(Some("demo-kafka"));
        assert!(
            suites.len() >= 2
                && suites
                    .iter()
                    .all(|suite| suite.name.starts_with("demo-kafka"))
                && tests.is_none()
        );
        let (suites, tests) = choose(Some("order_per_key"));
        assert_eq!(
            suites.iter().map(|suite| suite.name).collect::<Vec<_>>(),
            ["workspace"]
        );
        assert_eq!(tests, Some("order_per_key"));
    }
}
