//! What contracts cost, each beside its peer: one table in one run. `cargo xtask bench contracts` runs it.
//!
//! An argument chooses rows by a part of their name: `cargo xtask bench contracts -- avro`.

mod codec;
mod envelope;
mod validation;

use contracts_benchmarks::Report;

fn main() {
    let only = std::env::args().skip(1).find(|it| !it.starts_with("--"));
    let mut report = Report::new(only);
    envelope::rows(&mut report);
    validation::rows(&mut report);
    codec::rows(&mut report);
    report.print();
}
