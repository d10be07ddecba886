//! Measures two contenders in turns, and tells how they compare.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// One turn of a contender takes about this long: short beside what else happens on the machine, long beside the clock.
const TURN: Duration = Duration::from_micros(500);
/// Turns of each contender.
const TURNS: usize = 401;

/// What our time must be, beside the peer's.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// At most this part of it.
    Ratio(f64),
    /// At most this much more, in the fastest turn of each: what else the machine does adds to a time, and not to a ratio.
    Extra(Duration),
    /// Anything: the row is for comparison.
    None,
}

/// What was measured so far.
#[derive(Debug, Default)]
pub struct Report {
    only: Option<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    peer: String,
    ours: Duration,
    theirs: Duration,
    ratio: f64,
    extra: Duration,
    target: Target,
}

impl Report {
    /// A report of the rows whose name, or whose peer's name, contains `only`; of all without it.
    pub fn new(only: Option<String>) -> Self {
        Self {
            only,
            rows: Vec::new(),
        }
    }

    /// Measures ours beside a peer's. They take turns, so that whatever slows the machine slows both, and medians count: of the
    /// times, and of the ratios of neighbouring turns.
    pub fn compare<A, B>(
        &mut self,
        what: &str,
        target: Target,
        mut ours: impl FnMut() -> A,
        peer: &str,
        mut theirs: impl FnMut() -> B,
    ) {
        let chosen = |only: &String| what.contains(only.as_str()) || peer.contains(only.as_str());
        if !self.only.as_ref().is_none_or(chosen) {
            return;
        }
        let (ours_a_turn, theirs_a_turn) = (calls_a_turn(&mut ours), calls_a_turn(&mut theirs));
        let mut times = Vec::with_capacity(TURNS);
        for _ in 0..TURNS {
            times.push((
                turn(&mut ours, ours_a_turn),
                turn(&mut theirs, theirs_a_turn),
            ));
        }
        let row = Row {
            what: what.to_owned(),
            peer: peer.to_owned(),
            ours: Duration::from_secs_f64(median(times.iter().map(|(ours, _)| *ours))),
            theirs: Duration::from_secs_f64(median(times.iter().map(|(_, theirs)| *theirs))),
            ratio: median(times.iter().map(|(ours, theirs)| ours / theirs)),
            extra: Duration::from_secs_f64(
                (least(times.iter().map(|(ours, _)| *ours))
                    - least(times.iter().map(|(_, theirs)| *theirs)))
                .max(0.0),
            ),
            target,
        };
        eprintln!("{what}, beside {peer}: {:.2}", row.ratio);
        self.rows.push(row);
    }

    /// How many rows have a target that is not met.
    pub fn missed(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.is_met() == Some(false))
            .count()
    }

    /// The table, and in one line how many targets are met.
    pub fn print(&self) {
        let head = ["what", "ours", "peer", "its time", "ratio", "target", ""];
        let mut table = vec![head.map(str::to_owned)];
        table.extend(self.rows.iter().map(Row::cells));
        let width = |column: usize| {
            let cells = table.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for (index, row) in table.iter().enumerate() {
            let cells = row.iter().zip(&widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            println!("| {} |", cells.join(" | "));
            if index == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                println!("| {} |", rules.join(" | "));
            }
        }
        println!("\n{}", self.summary());
    }

    fn summary(&self) -> String {
        let judged = self
            .rows
            .iter()
            .filter(|row| row.is_met().is_some())
            .count();
        let missed: Vec<String> = self
            .rows
            .iter()
            .filter(|row| row.is_met() == Some(false))
            .map(|row| format!("  {}, beside {}: {:.2}×", row.what, row.peer, row.ratio))
            .collect();
        match missed.len() {
            0 => format!("All {judged} targets are met."),
            count => format!(
                "{count} of {judged} targets are NOT MET:\n{}",
                missed.join("\n")
            ),
        }
    }
}

impl Row {
    /// None where nothing is asked.
    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::Ratio(most) => Some(self.ratio <= most),
            Target::Extra(most) => Some(self.extra <= most),
            Target::None => None,
        }
    }

    fn cells(&self) -> [String; 7] {
        let verdict = match self.is_met() {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        let (target, verdict) = match self.target {
            Target::Ratio(most) => (format!("≤ {most:.2}×"), verdict.to_owned()),
            Target::Extra(most) => (
                format!("≤ {} more", time(most)),
                format!("{verdict}: {}", time(self.extra)),
            ),
            Target::None => (String::new(), String::new()),
        };
        [
            self.what.clone(),
            time(self.ours),
            self.peer.clone(),
            time(self.theirs),
            format!("{:.2}×", self.ratio),
            target,
            verdict,
        ]
    }
}

fn time(time: Duration) -> String {
    format!("{} ns", time.as_nanos())
}

/// Warms a contender up, and says how many calls make a turn.
fn calls_a_turn<T>(contender: &mut impl FnMut() -> T) -> u32 {
    let started = Instant::now();
    let mut calls: u32 = 0;
    while started.elapsed() < 20 * TURN {
        black_box(contender());
        calls += 1;
    }
    (calls / 20).max(1)
}

/// Seconds a call.
fn turn<T>(contender: &mut impl FnMut() -> T, calls: u32) -> f64 {
    let started = Instant::now();
    for _ in 0..calls {
        black_box(contender());
    }
    started.elapsed().as_secs_f64() / f64::from(calls)
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ratio: f64, target: Target) -> Row {
        Row {
            what: "decode".to_owned(),
            peer: "a peer".to_owned(),
            ours: Duration::ZERO,
            theirs: Duration::ZERO,
            ratio,
            extra: Duration::from_nanos(5),
            target,
        }
    }

    #[test]
    fn what_is_not_met_is_told_below_the_table() {
        let mut report = Report::new(None);
        report.rows.push(row(0.5, Target::Ratio(0.5)));
        report.rows.push(row(9.0, Target::None));
        assert_eq!(
            (report.missed(), report.summary().as_str()),
            (0, "All 1 targets are met.")
        );
        report.rows.push(row(0.9, Target::Ratio(0.8)));
        report
            .rows
            .push(row(0.9, Target::Extra(Duration::from_nanos(4))));
        assert_eq!(report.missed(), 2);
        assert_eq!(
            report.summary(),
            "2 of 3 targets are NOT MET:\n  decode, beside a peer: 0.90×\n  decode, beside a peer: 0.90×"
        );
    }
}
