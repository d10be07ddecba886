//! Two versions of an Avro schema and data of the first: the checker's answers fit together, and what it passes is read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_contracts::fuzzing::compatibility_avro(bytes));
