//! The quick run of the soundness generator; `cargo run --release --all-features --example soundness` is the long one.
#![cfg(feature = "compatibility")]

mod soundness;

use soundness::Tally;

fn assert_sound(tally: &Tally, pairs: u64) {
    let shown = tally
        .failures
        .iter()
        .take(5)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        tally.failures.is_empty(),
        "{} of {} pairs:\n{shown}",
        tally.failures.len(),
        tally.pairs()
    );
    // A run that tried nothing proves nothing.
    assert_eq!(tally.pairs() + tally.skipped, pairs);
    assert!(
        tally.passed_with_instances > pairs / 8 && tally.incompatible > pairs / 8,
        "{tally:?}"
    );
}

#[test]
fn json_schemas_that_pass_break_no_reader() {
    let mut tally = Tally::default();
    soundness::json::run(1, 1_500, &mut tally);
    assert_sound(&tally, 1_500);
    assert!(tally.counterexamples > 200, "{tally:?}");
}

#[test]
fn avro_schemas_that_pass_break_no_reader() {
    let mut tally = Tally::default();
    soundness::avro::run(1, 3_000, &mut tally);
    assert_sound(&tally, 3_000);
}
