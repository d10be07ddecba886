//! What contracts cost, each beside its peer: one table in one run. `cargo xtask bench contracts` runs it.
//!
//! An argument chooses rows by a part of their name: `cargo xtask bench contracts -- avro`. With `--assert`, a target that is not met
//! is a failure; without, it is told below the table, for a machine that does other things misses some by chance.

mod codec;
mod envelope;
mod validation;

use std::process::ExitCode;

use contracts_benchmarks::Report;

fn main() -> ExitCode {
    let is_asserted = std::env::args().any(|it| it == "--assert");
    let only = std::env::args().skip(1).find(|it| !it.starts_with("--"));
    let mut report = Report::new(only);
    envelope::rows(&mut report);
    validation::rows(&mut report);
    codec::rows(&mut report);
    report.print();
    if is_asserted && report.missed() > 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
