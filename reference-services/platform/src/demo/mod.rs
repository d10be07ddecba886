//! The demo: real orders through the whole platform, under faults, and a check of what must hold.

mod audit;
mod collect;
mod crash;
mod duplicating;
mod faults;
mod invariants;
mod options;
mod orders;
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
use std::time::{Duration, Instant};

use anyhow::Context as _;
use commerce_host::Shutdown;
use commerce_resilient_client::Client;

pub use self::options::DemoOptions;

use self::audit::Audit;
use self::faults::Faults;
use self::invariants::{Expected, Seen};
use self::orders::olist::{self, Import, RejectedRow};
use self::orders::{OrderDraft, sample};
use self::progress::Progress;
use self::report::{Latency, Payments, Report};
use self::run::{Run, Source};
use self::stage::Stage;

/// An invariant was broken.
const BROKEN: u8 = 1;
/// The demo could not run.
const FAILED: u8 = 2;
const POLL: Duration = Duration::from_millis(100);

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
    let mut faults = Faults::default();
    let stage = Stage::set(&run, &folder, &faults).await?;
    let actors = Actors::enter(&stage, &mut run, &folder).await?;
    let outcome = play(
        &stage,
        &actors,
        &import.orders,
        run.faults.then_some(&mut faults),
        options.deadline,
    )
    .await?;
    let report = tell(outcome, import.rejected, run.faults.then_some(&faults));
    stage.strike().await;
    Ok(leave_behind(report, &folder, temporary))
}

/// Who acts: the shop, and who sets the provider's faults.
struct Actors {
    shop: Client,
    provider: Client,
}

impl Actors {
    /// Connects as the shop of the run; registers it first when it is new.
    async fn enter(stage: &Stage, run: &mut Run, folder: &Path) -> anyhow::Result<Self> {
        let registered = if let Some(known) = run.shop.clone() {
            known
        } else {
            let new = shop::register(stage.url(), run).await?;
            run.shop = Some(new.clone());
            run.save(folder)?;
            new
        };
        Ok(Self {
            shop: shop::connect(
                stage.url(),
                &registered.client_id,
                &registered.client_secret,
            )?,
            provider: shop::connect_provider(stage.provider_url(), &run.secrets.provider_api_key)?,
        })
    }
}

/// What was asked for, and what was seen.
struct Outcome {
    expected: Expected,
    seen: Seen,
    elapsed: Duration,
    duplicates: u64,
    retries: u64,
    audit: Audit,
}

/// Places the orders, waits for what becomes of them, and asks everybody what they know.
async fn play(
    stage: &Stage,
    actors: &Actors,
    orders: &[OrderDraft],
    mut faults: Option<&mut Faults>,
    deadline: Duration,
) -> anyhow::Result<Outcome> {
    let expected: Expected = orders
        .iter()
        .map(|draft| (draft.request.order_id, draft.total_cents()))
        .collect();
    let listening = Shutdown::new();
    let audit = Audit::start(stage.bus(), &listening).await?;
    if let Some(faults) = &mut faults {
        faults.begin(&actors.provider).await?;
    }
    let started = Instant::now();
    let placing = placing::place_all(&actors.shop, orders);
    let settling = settle(stage, actors, faults, expected.len(), &audit, deadline);
    let (placed_before, settled) = tokio::try_join!(placing, settling)?;
    let elapsed = started.elapsed();
    if !settled {
        eprintln!("not everything was settled within {deadline:?}: checking what there is");
    }
    let seen = Seen {
        orders: collect::orders(&actors.shop).await?,
        payments: collect::payments(&actors.shop).await?,
        charged: collect::charged(&actors.provider).await?,
        told: collect::told(&actors.shop, &stage.mailbox()).await?,
        dead_letters: stage.dead_letters().await?,
    };
    audit.catch_up(stage.bus()).await;
    listening.request();
    let counted = stage.counted(&seen);
    Ok(Outcome {
        expected,
        seen,
        elapsed,
        duplicates: placed_before + counted.duplicates,
        retries: counted.retries + actors.shop.stats().retries,
        audit,
    })
}

fn tell(outcome: Outcome, rejected_rows: Vec<RejectedRow>, faults: Option<&Faults>) -> Report {
    let Outcome {
        expected,
        seen,
        elapsed,
        duplicates,
        retries,
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
        notifications: seen.told.values().sum(),
        duplicates_absorbed: duplicates,
        retries,
        lost: invariants::lost(&expected, &seen),
        violations: invariants::check(&expected, &seen),
        rejected_rows,
        throughput_per_s: per_second(expected.len(), elapsed),
        latency_ms: Latency::of(audit.latencies()),
        faults: faults.map(Faults::told).unwrap_or_default(),
        timeline: audit.timeline(),
        left_behind: None,
    }
}

/// Waits until every order is settled, every customer told and nothing is under way; meanwhile throws the faults that
/// need a moment of their own. False when the time was up first.
async fn settle(
    stage: &Stage,
    actors: &Actors,
    mut faults: Option<&mut Faults>,
    orders: usize,
    audit: &Audit,
    deadline: Duration,
) -> anyhow::Result<bool> {
    let progress = Progress::begin("settling orders", orders);
    let started = Instant::now();
    let mut quiet = 0;
    let mailbox = stage.mailbox();
    while started.elapsed() < deadline {
        let told = collect::messages(&mailbox).await?.len();
        progress.at(told.min(orders), &format!("{} paid", audit.paid()));
        if told * 5 >= orders
            && let Some(faults) = faults.take()
        {
            faults.strike(&actors.provider).await?;
            progress.at(told.min(orders), "the provider went away, consumers crash");
        }
        if told >= orders && !stage.is_busy(&actors.shop).await? {
            quiet += 1;
            // Twice in a row: between two looks an event may have been on its way from an outbox to the bus.
            if quiet == 2 {
                progress.end("all settled");
                return Ok(true);
            }
        } else {
            quiet = 0;
        }
        tokio::time::sleep(POLL).await;
    }
    progress.end("time is up");
    Ok(false)
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

/// A temporary folder goes, unless there is something to look into.
fn leave_behind(mut report: Report, folder: &Path, temporary: Option<tempfile::TempDir>) -> Report {
    match temporary {
        Some(temporary) if report.is_sound() => drop(temporary),
        Some(temporary) => report.left_behind = Some(temporary.keep().display().to_string()),
        None => report.left_behind = Some(describe(folder)),
    }
    report
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
