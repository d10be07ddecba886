//! The demo: real orders through the whole platform, under faults, and a check of what must hold.

mod audit;
mod collect;
mod crash;
mod duplicating;
mod faults;
mod invariants;
mod journal;
mod leftovers;
mod mailbox;
mod options;
mod orders;
mod performance;
mod placing;
mod progress;
mod report;
mod run;
mod shop;
mod stage;
mod timeline;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

pub use self::options::DemoOptions;

use self::audit::Audit;
use self::faults::Faults;
use self::leftovers::Leftovers;
use self::orders::olist::{self, Import, RejectedRow};
use self::orders::sample;
use self::performance::{Actors, Outcome, Performance};
use self::report::{Latency, Payments, Report};
use self::run::{FULL_SIZE, Run, Source};
use self::stage::Stage;

/// An invariant was broken.
const BROKEN: u8 = 1;
/// The demo could not run.
const FAILED: u8 = 2;

/// Runs the demo; 0 when every invariant holds, 1 when one does not, 2 when the demo could not run at all.
pub async fn run(options: DemoOptions) -> ExitCode {
    match perform(&options).await {
        Ok(report) => {
            if options.json {
                match serde_json::to_string(&report) {
                    Ok(json) => println!("{json}"),
                    Err(error) => eprintln!("the report cannot be written as JSON: {error}"),
                }
            } else {
                println!("{report}");
            }
            if report.is_sound() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(BROKEN)
            }
        }
        Err(error) => {
            eprintln!("the demo could not run: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

async fn perform(options: &DemoOptions) -> anyhow::Result<Report> {
    let (folder, temporary) = folder(options)?;
    let mut run = Run::open(options, &folder)?;
    if let Some(after) = options.kill_after {
        eprintln!(
            "this process kills itself after {after:?}; then: demo --data {} --resume",
            folder.display()
        );
        kill_after(after);
    }
    let import = orders_of(&run)?;
    for note in &import.notes {
        eprintln!("note: {note}");
    }
    let faults = Faults::default();
    let stage = Stage::set(&run, &folder, &faults).await?;
    let actors = Actors::enter(&stage, &mut run, &folder).await?;
    let performance = Performance {
        stage: &stage,
        actors: &actors,
        faults: run.faults.then_some(&faults),
        audit: Audit::start(stage.bus(), &stage.shutdown(), &folder).await?,
        deadline: options.deadline,
    };
    // A resumed run may have been through its faults before, and a small one has not enough for every kind to hit.
    let every_fault_must_hit = !options.resume && import.orders.len() >= FULL_SIZE;
    let outcome = performance
        .play(&import.orders, every_fault_must_hit)
        .await?;
    let mut report = tell(outcome, import.rejected);
    let mut leftovers = Leftovers::of(
        run.bus.as_deref(),
        run.store.as_deref(),
        &run.namespace(),
        stage.databases().await,
    );
    stage.strike().await;
    let remove = report.is_sound() && options.data.is_none() && !options.keep;
    if remove && let Err(error) = leftovers.remove_schemas().await {
        eprintln!("{error:#}");
    }
    report.left_behind = leftovers.told();
    report.left_behind.extend(keep(&folder, temporary, !remove));
    Ok(report)
}

fn tell(outcome: Outcome, rejected_rows: Vec<RejectedRow>) -> Report {
    let Outcome {
        expected,
        seen,
        elapsed,
        duplicates,
        retries,
        thrown,
        audit,
    } = outcome;
    let mut by_state = BTreeMap::new();
    for order in &seen.orders {
        *by_state.entry(order.state.clone()).or_default() += 1;
    }
    Report {
        orders: expected.len(),
        by_state,
        payments: Payments::of(&seen.payments),
        notifications: seen.mails.len(),
        duplicates_absorbed: duplicates,
        retries,
        lost: invariants::lost(&expected, &seen),
        violations: invariants::check(&expected, &seen),
        rejected_rows,
        throughput_per_s: per_second(expected.len(), elapsed),
        latency_ms: Latency::of(audit.latencies()),
        faults: thrown,
        timeline: audit.timeline(),
        left_behind: Vec::new(),
    }
}

fn orders_of(run: &Run) -> anyhow::Result<Import> {
    match &run.source {
        Source::Sample(count) => Ok(Import {
            orders: sample::orders(run.id, *count),
            ..Import::default()
        }),
        Source::Olist(folder) => olist::read(folder),
    }
}

fn folder(options: &DemoOptions) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    if let Some(folder) = &options.data {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        return Ok((folder.clone(), None));
    }
    let temporary = tempfile::Builder::new()
        .prefix("commerce-demo-")
        .tempdir()?;
    let path = temporary.path().to_owned();
    if options.kill_after.is_some() {
        // It must outlive the process that kills itself.
        return Ok((temporary.keep(), None));
    }
    Ok((path, Some(temporary)))
}

/// A temporary folder goes, unless there is something to look into; where what is kept is.
fn keep(folder: &Path, temporary: Option<tempfile::TempDir>, keep: bool) -> Option<String> {
    match temporary {
        Some(temporary) if !keep => {
            drop(temporary);
            None
        }
        Some(temporary) => Some(describe(&temporary.keep())),
        None => Some(describe(folder)),
    }
}

fn describe(folder: &Path) -> String {
    format!(
        "{} (the customers' mail: {})",
        folder.display(),
        folder.join(stage::MAILBOX).display()
    )
}

fn per_second(count: usize, elapsed: Duration) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    (f64::from(count) / elapsed.as_secs_f64() * 10.0).round() / 10.0
}

/// Ends this process as a power cut would: no destructor runs, no buffer is flushed.
fn kill_after(after: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(after);
        #[cfg(unix)]
        {
            let own = rustix::process::getpid();
            if let Err(error) = rustix::process::kill_process(own, rustix::process::Signal::KILL) {
                eprintln!("cannot kill this process: {error}");
            }
        }
        // Where there is no SIGKILL, abort comes closest.
        std::process::abort();
    });
}
