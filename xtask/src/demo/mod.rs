//! The platform's demo as a test: which buses and stores, how it is run, what its report must say.

mod place;
mod report;

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

pub(crate) use self::place::{Place, Stage};
use crate::services::Server;

/// The demo gives up by itself before this (its own deadline is five minutes).
const PATIENCE: Duration = Duration::from_mins(8);

/// What carries the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Bus {
    Memory,
    Sqlite,
    #[value(name = "rabbitmq")]
    RabbitMq,
    Kafka,
    /// SQS alone.
    Sqs,
    /// SQS behind SNS.
    Sns,
}

/// What holds the services' state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Store {
    Sqlite,
    #[value(name = "postgresql", alias = "postgres")]
    PostgreSql,
}

impl Bus {
    pub(crate) fn server(self) -> Option<Server> {
        match self {
            Self::Memory | Self::Sqlite => None,
            Self::RabbitMq => Some(Server::RabbitMq),
            Self::Kafka => Some(Server::Kafka),
            Self::Sqs => Some(Server::Sqs),
            Self::Sns => Some(Server::Sns),
        }
    }
}

impl Store {
    pub(crate) fn server(self) -> Option<Server> {
        match self {
            Self::Sqlite => None,
            Self::PostgreSql => Some(Server::PostgreSql),
        }
    }
}

/// Where the orders come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Orders {
    /// So many of the built-in sample.
    Sample(u32),
    /// All orders of a directory in Olist's layout.
    Olist(PathBuf),
}

/// The platform's program, ready to run demos in one place.
#[derive(Debug)]
pub(crate) struct Demo<'a> {
    pub(crate) program: &'a Path,
    pub(crate) place: &'a Place,
    pub(crate) orders: &'a Orders,
    /// The demo's data directory.
    pub(crate) data: &'a Path,
    /// What the demo writes besides its report.
    pub(crate) log: &'a Path,
}

/// How a run with `--kill-after` ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Killed {
    /// In the middle.
    Yes,
    /// It had finished before, with this summary.
    TooLate(String),
}

impl Demo<'_> {
    /// Runs the demo to its end; answers with a one-line summary if every promise was kept.
    pub(crate) fn run(&self) -> Result<String> {
        self.finished(&[])
    }

    /// Finishes a demo that was killed.
    pub(crate) fn resume(&self) -> Result<String> {
        self.finished(&["--resume".to_owned()])
    }

    /// Runs the demo until it kills itself.
    pub(crate) fn run_until_killed(&self, after: Duration) -> Result<Killed> {
        let arguments = [
            "--kill-after".to_owned(),
            format!("{}ms", after.as_millis()),
        ];
        let (status, output) = self.execute(&arguments)?;
        match status.signal() {
            Some(9) => Ok(Killed::Yes),
            _ if status.success() => Ok(Killed::TooLate(self.judge(&output)?)),
            _ => bail!(
                "instead of being killed it ended with {status}: {}",
                self.explanation(&output)
            ),
        }
    }

    fn finished(&self, arguments: &[String]) -> Result<String> {
        let (status, output) = self.execute(arguments)?;
        if !status.success() {
            bail!("it ended with {status}: {}", self.explanation(&output));
        }
        self.judge(&output)
    }

    fn judge(&self, output: &str) -> Result<String> {
        let report = report::Report::read(output)?;
        report.check(expected_orders(self.orders)?)?;
        Ok(report.summary())
    }

    /// The report's own complaint if there is a report, else the end of the log.
    fn explanation(&self, output: &str) -> String {
        if let Some(complaint) = report::Report::read(output)
            .ok()
            .and_then(|report| report.check(None).err())
        {
            return format!("{complaint:#}");
        }
        let text = fs::read_to_string(self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!(
            "the end of {}:\n  {}",
            self.log.display(),
            lines[lines.len().saturating_sub(12)..].join("\n  ")
        )
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["demo".to_owned(), "--json".to_owned()];
        arguments.extend(["--data".to_owned(), self.data.display().to_string()]);
        arguments.extend(
            self.place
                .bus
                .iter()
                .flat_map(|url| ["--bus".to_owned(), url.clone()]),
        );
        arguments.extend(
            self.place
                .store
                .iter()
                .flat_map(|url| ["--store".to_owned(), url.clone()]),
        );
        match self.orders {
            Orders::Sample(number) => arguments.extend(["--orders".to_owned(), number.to_string()]),
            Orders::Olist(directory) => {
                arguments.extend(["--olist".to_owned(), directory.display().to_string()]);
            }
        }
        arguments
    }

    fn execute(&self, more: &[String]) -> Result<(ExitStatus, String)> {
        let log = File::options().create(true).append(true).open(self.log);
        let log = log.with_context(|| format!("{} cannot be written", self.log.display()))?;
        let mut command = Command::new(self.program);
        command
            .args(self.arguments())
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command
            .spawn()
            .with_context(|| format!("{} could not be run", self.program.display()))?;
        let stdout = child
            .stdout
            .take()
            .context("its standard output is not ours")?;
        let reader = thread::spawn(move || std::io::read_to_string(stdout));
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!(
                    "it did not end within {PATIENCE:?}; {}",
                    self.explanation("")
                );
            }
            thread::sleep(Duration::from_millis(50));
        };
        let output = reader
            .join()
            .map_err(|_| anyhow!("reading its output panicked"))??;
        Ok((status, output))
    }
}

/// How many orders must come out, counted from what goes in.
fn expected_orders(orders: &Orders) -> Result<Option<u64>> {
    match orders {
        Orders::Sample(number) => Ok(Some(u64::from(*number))),
        Orders::Olist(directory) => {
            let file = directory.join("olist_orders_dataset.csv");
            let text = fs::read_to_string(&file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            let rows = text.lines().filter(|line| !line.trim().is_empty()).count();
            ensure!(rows > 1, "{} holds no orders", file.display());
            Ok(Some(u64::try_from(rows - 1)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for the platform's program that does what its arguments ask for.
    fn program(directory: &Path, script: &str) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let file = directory.join("platform");
        // Written by another process: a file that this one has open for writing cannot be run, and a test that starts a
        // process at the same moment would keep it open.
        let write = "printf '#!/bin/sh\n%s\n' \"$1\" > \"$2\" && chmod +x \"$2\"";
        let mut shell = Command::new("sh");
        let status = shell.args(["-c", write, "sh", script]).arg(&file).status();
        assert!(status.unwrap().success());
        file
    }

    fn report(orders: u32, lost: u32) -> String {
        format!(
            r#"{{"orders":{orders},"by_state":{{}},"payments":{{}},"notifications":1,"duplicates_absorbed":2,"retries":3,
            "lost":{lost},"violations":[],"rejected_rows":[],"throughput_per_s":9.5,"latency_ms":{{"p50":1.0,"p99":2.0}}}}"#
        )
    }

    fn with_demo<T>(name: &str, script: &str, check: impl FnOnce(&Demo<'_>) -> T) -> T {
        let directory = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let program = program(&directory, script);
        let place = Place {
            bus: Some("kafka://h:1".to_owned()),
            store: None,
        };
        let (data, log) = (directory.join("data"), directory.join("log"));
        let demo = Demo {
            program: &program,
            place: &place,
            orders: &Orders::Sample(7),
            data: &data,
            log: &log,
        };
        let outcome = check(&demo);
        fs::remove_dir_all(&directory).unwrap();
        outcome
    }

    #[test]
    fn a_sound_report_passes_and_the_command_line_is_complete() {
        let script = format!("echo \"$@\" >&2; echo '{}'", report(7, 0));
        with_demo("demo-sound", &script, |demo| {
            assert!(demo.run().unwrap().starts_with("7 orders"));
            let log = fs::read_to_string(demo.log).unwrap();
            let data = demo.data.display();
            assert_eq!(
                log.trim(),
                format!("demo --json --data {data} --bus kafka://h:1 --orders 7")
            );
        });
    }

    #[test]
    fn missing_orders_losses_and_bad_ends_fail() {
        for (script, expected) in [
            (format!("echo '{}'", report(6, 0)), "6 orders"),
            (format!("echo '{}'", report(7, 1)), "lost"),
            (format!("echo '{}'; exit 1", report(7, 0)), "exit status: 1"),
            (
                "echo 'the port is taken' >&2; exit 2".to_owned(),
                "the port is taken",
            ),
            ("echo no report".to_owned(), "JSON"),
        ] {
            let error = with_demo("demo-unsound", &script, |demo| {
                demo.run().unwrap_err().to_string()
            });
            assert!(error.contains(expected), "{script}: {error}");
        }
    }

    #[test]
    fn being_killed_is_told_from_finishing_before() {
        with_demo("demo-killed", "kill -9 $$", |demo| {
            assert_eq!(
                demo.run_until_killed(Duration::from_millis(1)).unwrap(),
                Killed::Yes
            );
        });
        with_demo(
            "demo-too-late",
            &format!("echo '{}'", report(7, 0)),
            |demo| {
                assert!(matches!(
                    demo.run_until_killed(Duration::from_millis(1)).unwrap(),
                    Killed::TooLate(_)
                ));
            },
        );
        with_demo("demo-broken", "exit 3", |demo| {
            assert!(demo.run_until_killed(Duration::from_millis(1)).is_err());
        });
    }
}
