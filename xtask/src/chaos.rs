//! `cargo xtask chaos`: the platform's demo, killed at random moments and resumed, over and over; brokers too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::Args;

use crate::demo::{Bus, Demo, Killed, Orders, Stage, Store};
use crate::progress::{Board, Mark, Task};
use crate::services::{self, Server, Site};
use crate::table::{Table, seconds};
use crate::workspace::Workspace;

/// `cargo xtask chaos …`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often to kill and resume.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Orders in each round.
    #[arg(long, default_value_t = 300)]
    orders: u32,
    /// What carries the events.
    #[arg(long, value_enum, default_value = "sqlite")]
    bus: Bus,
    /// What holds the services' state.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,
    /// The latest moment at which to kill, in milliseconds.
    #[arg(long, default_value_t = 5000)]
    kill_within: u64,
    /// Also kill the broker, and start it again, while the demo is resumed.
    #[arg(long)]
    kill_broker: bool,
    /// Repeats the moments of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// With an optimised build.
    #[arg(long)]
    release: bool,
}

/// Nobody is killed sooner: the program has to have begun.
const EARLIEST: u64 = 200;

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    ensure!(
        options.bus != Bus::Memory,
        "a bus in memory does not survive its process"
    );
    ensure!(
        options.kill_within > EARLIEST,
        "--kill-within must be more than {EARLIEST}"
    );
    let keeps = matches!(options.bus, Bus::Kafka | Bus::RabbitMq);
    ensure!(
        !options.kill_broker || keeps,
        "--kill-broker needs --bus kafka or --bus rabbitmq, which keep on disk what they have"
    );
    let seed = options.seed.unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |time| time.as_secs() ^ u64::from(time.subsec_nanos()))
    });
    println!("seed: {seed}");
    let program = build(workspace, options.release)?;
    let logs = Workspace::logs(&workspace.metadata()?)?.join("chaos");
    fs::create_dir_all(&logs)?;
    let mut random = Random(seed);
    let mut stage = Stage::new(workspace)?;
    let board = Board::new();
    let mut table = Table::new(["round", "outcome", "killed after", "time", "remark"]);
    let (mut passed, mut failed) = (0, 0);
    for round in 1..=options.rounds {
        let task = board.task(format!("round {round}"));
        let outcome = play(
            options,
            &program,
            &logs.join(format!("round-{round}")),
            &mut stage,
            &mut random,
            &task,
        );
        let time = seconds(task.elapsed());
        match outcome {
            Ok((after, summary)) => {
                passed += 1;
                task.finish(Mark::Passed, &summary);
                table.row([
                    round.to_string(),
                    "passed".to_owned(),
                    format!("{} ms", after.as_millis()),
                    time,
                    summary,
                ]);
            }
            Err(error) => {
                failed += 1;
                task.finish(Mark::Failed, &format!("{error:#}"));
                table.row([
                    round.to_string(),
                    "failed".to_owned(),
                    String::new(),
                    time,
                    format!("{error:#}"),
                ]);
            }
        }
    }
    stage.close()?;
    println!("\n{}", table.render());
    println!("seed: {seed}");
    println!("{passed} passed, {failed} failed, 0 skipped");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One kill and one resumption; the data is kept if something is wrong with it.
fn play(
    options: &Options,
    program: &Path,
    directory: &Path,
    stage: &mut Stage,
    random: &mut Random,
    task: &Task,
) -> Result<(Duration, String)> {
    let orders = Orders::Sample(options.orders);
    let mut latest = options.kill_within;
    loop {
        if directory.exists() {
            fs::remove_dir_all(directory)
                .with_context(|| format!("{} cannot be removed", directory.display()))?;
        }
        let data = directory.join("data");
        fs::create_dir_all(&data)?;
        let place = stage.place(options.bus, options.store)?;
        let log = directory.join("log");
        let demo = Demo {
            program,
            place: &place,
            orders: &orders,
            data: &data,
            log: &log,
        };
        let after = Duration::from_millis(EARLIEST + random.below(latest - EARLIEST));
        task.step(format!("killing it after {} ms", after.as_millis()));
        if demo.run_until_killed(after)? != Killed::Yes {
            ensure!(
                latest > 2 * EARLIEST,
                "it finishes {} orders before it can be killed",
                options.orders
            );
            latest /= 2;
            continue;
        }
        task.step("resuming");
        let summary = match options.bus.server().filter(|_| options.kill_broker) {
            Some(broker) => resume_while_killing(&demo, stage.site(), broker, random, task)?,
            None => demo.resume()?,
        };
        fs::remove_dir_all(directory)?;
        return Ok((after, summary));
    }
}

/// Resumes the demo; meanwhile the broker is killed once, at a random moment, and started again.
fn resume_while_killing(
    demo: &Demo<'_>,
    site: &Site,
    broker: Server,
    random: &mut Random,
    task: &Task,
) -> Result<String> {
    let wait = Duration::from_millis(500 + random.below(3000));
    let finished = AtomicBool::new(false);
    thread::scope(|scope| {
        let broker_thread = scope.spawn(|| -> Result<bool> {
            let moment = Instant::now() + wait;
            while Instant::now() < moment {
                if finished.load(Ordering::Acquire) {
                    return Ok(false);
                }
                thread::sleep(Duration::from_millis(20));
            }
            task.step(format!(
                "killing {} after {} ms",
                broker.name(),
                wait.as_millis()
            ));
            services::kill_and_start(site, broker)?;
            Ok(true)
        });
        let outcome = demo.resume();
        finished.store(true, Ordering::Release);
        let was_killed = broker_thread
            .join()
            .map_err(|_| anyhow!("killing the broker panicked"))??;
        let summary = outcome?;
        Ok(if was_killed {
            format!("{} was killed as well; {summary}", broker.name())
        } else {
            summary
        })
    })
}

fn build(workspace: &Workspace, release: bool) -> Result<PathBuf> {
    let mut command = workspace.cargo();
    command.args([
        "build",
        "--package",
        "commerce-platform",
        "--bin",
        "commerce-platform",
    ]);
    command
        .args(release.then_some("--release"))
        .arg("--message-format=json-render-diagnostics");
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be run")?;
    if !output.status.success() {
        bail!("the platform does not compile");
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "commerce-platform")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.context("cargo built no program of the platform")
}

/// SplitMix64: moments that can be repeated are all that is asked for.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_repeat_with_their_seed_and_keep_their_limit() {
        let draw = |seed| {
            let mut random = Random(seed);
            (0..50).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().all(|moment| *moment < 1000));
        // The reference value of the algorithm for seed 0.
        assert_eq!(Random(0).below(u64::MAX), 0xe220_a839_7b1d_cdaf);
    }
}
