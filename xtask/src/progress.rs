//! Progress of things done side by side: moving lines on a terminal, one plain line per event elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::table::seconds;

/// The lines of several tasks.
#[derive(Debug)]
pub(crate) struct Board {
    lines: MultiProgress,
    live: bool,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            lines: MultiProgress::new(),
            live: std::io::stderr().is_terminal(),
        }
    }

    pub(crate) fn task(&self, name: impl Into<String>) -> Task {
        let name = name.into();
        let bar = if self.live {
            self.lines.add(ProgressBar::new_spinner())
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix:24} {elapsed:>4}  {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(name.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        Task {
            bar,
            name,
            started: Instant::now(),
            live: self.live,
        }
    }
}

/// One line of a [`Board`].
#[derive(Debug)]
pub(crate) struct Task {
    bar: ProgressBar,
    name: String,
    started: Instant,
    live: bool,
}

impl Task {
    /// What is being done now; on a terminal it replaces the last step, elsewhere it is a line of its own.
    pub(crate) fn step(&self, message: impl Into<String>) {
        let message = message.into();
        if self.live {
            self.bar.set_message(message);
        } else {
            eprintln!("{}: {message}", self.name);
        }
    }

    /// A detail worth seeing on a terminal and not worth a line in a log.
    pub(crate) fn detail(&self, message: impl Into<String>) {
        if self.live {
            self.bar.set_message(message.into());
        }
    }

    /// The last word on this task, with the time it took.
    pub(crate) fn finish(&self, mark: Mark, message: &str) {
        let sign = match mark {
            Mark::Passed => "✓",
            Mark::Skipped => "–",
            Mark::Failed => "✗",
        };
        let time = seconds(self.started.elapsed());
        if self.live {
            let line = format!("{sign} {:24} {time:>9}  {message}", self.name);
            self.bar.finish_and_clear();
            self.bar.suspend(|| eprintln!("{line}"));
        } else {
            eprintln!("{sign} {}: {message} ({time})", self.name);
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Passed,
    Skipped,
    Failed,
}
