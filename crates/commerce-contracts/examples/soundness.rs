//! The long run of the soundness generator: random schemas, random edits, random data, against readers that know nothing of the checker.
//!
//! `cargo run --release -p commerce-contracts --all-features --example soundness -- [pairs of each format] [seed]`

#[path = "../tests/soundness/mod.rs"]
mod soundness;

use std::process::ExitCode;
use std::time::Instant;

use soundness::Tally;

type Run = fn(seed: u64, pairs: u64, tally: &mut Tally);

fn main() -> ExitCode {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>());
    let (Ok(pairs), Ok(seed)) = (
        arguments.next().unwrap_or(Ok(100_000)),
        arguments.next().unwrap_or(Ok(1)),
    ) else {
        eprintln!("usage: soundness [pairs of each format] [seed]");
        return ExitCode::FAILURE;
    };
    let mut failed = false;
    let formats: [(&str, Run); 2] = [
        ("JSON Schema", soundness::json::run),
        ("Avro", soundness::avro::run),
    ];
    for (format, run) in formats {
        let started = Instant::now();
        let mut tally = Tally::default();
        run(seed, pairs, &mut tally);
        println!(
            "{format}, seeds {seed}..{}, {:.0} s",
            seed + pairs,
            started.elapsed().as_secs_f64()
        );
        println!("  pairs judged               {:>9}", tally.pairs());
        println!("  skipped (not a schema)     {:>9}", tally.skipped);
        println!("  compatible                 {:>9}", tally.compatible);
        println!("  incompatible               {:>9}", tally.incompatible);
        println!("  unknown                    {:>9}", tally.unknown);
        println!(
            "  passed and tried           {:>9}",
            tally.passed_with_instances
        );
        println!("  instances or data tried    {:>9}", tally.instances);
        println!("  counterexamples verified   {:>9}", tally.counterexamples);
        println!("  unsound                    {:>9}", tally.failures.len());
        for failure in &tally.failures {
            println!("{failure}");
        }
        failed |= !tally.failures.is_empty();
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
