//! Shows how far the demo is: a bar on a terminal, a line now and then elsewhere. Always on standard error.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const EVERY: Duration = Duration::from_secs(2);

/// One step of the demo.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    of: usize,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Begins a step of `of` parts.
    pub(crate) fn begin(what: &'static str, of: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(of as u64);
            // The template is a constant; indicatif's own style is as good should it ever be wrong.
            if let Ok(style) =
                ProgressStyle::with_template("{prefix:20} {bar:40} {pos}/{len} {msg}")
            {
                bar.set_style(style);
            }
            bar.with_prefix(what)
        });
        Self {
            bar,
            what,
            of,
            last_line: Mutex::new(Instant::now()),
        }
    }

    /// Tells where the step is.
    pub(crate) fn at(&self, done: usize, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(note.to_owned());
            return;
        }
        let Ok(mut last) = self.last_line.lock() else {
            return;
        };
        if last.elapsed() >= EVERY {
            *last = Instant::now();
            eprintln!("{} {done}/{} {note}", self.what, self.of);
        }
    }

    /// Ends the step.
    pub(crate) fn end(self, note: &str) {
        match self.bar {
            Some(bar) => bar.finish_with_message(note.to_owned()),
            None => eprintln!("{} {note}", self.what),
        }
    }
}
