//! The quick run of the soundness generator; `cargo run --release --example soundness` is the long one.
#![cfg(feature = "compatibility")]

mod soundness;

use soundness::Tally;

#[test]
fn json_schemas_that_pass_break_no_reader() {
    let mut tally = Tally::default();
    let first: u64 = std::env::var("SEED")
        .ok()
        .map_or(1, |seed| seed.parse().unwrap());
    let pairs: u64 = std::env::var("PAIRS")
        .ok()
        .map_or(2_000, |pairs| pairs.parse().unwrap());
    soundness::json::run(first, pairs, &mut tally);
    println!(
        "{} {} {} skipped {} instances {} passed_with {} cex {}",
        tally.compatible,
        tally.incompatible,
        tally.unknown,
        tally.skipped,
        tally.instances,
        tally.passed_with_instances,
        tally.counterexamples
    );
    assert!(
        tally.failures.is_empty(),
        "{} failures of {}:\n{}",
        tally.failures.len(),
        tally.pairs(),
        tally.failures[..tally.failures.len().min(12)].join("\n")
    );
}
