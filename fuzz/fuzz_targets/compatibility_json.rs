//! Two versions of a JSON Schema and an instance of the first: the checker's answers fit together, and counterexamples are some.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_contracts::fuzzing::compatibility_json(bytes));
