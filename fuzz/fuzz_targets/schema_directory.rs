//! Two directories of committed schemas: the gate reads them or says why not, and compares them by every rule.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_contracts::fuzzing::schema_directory(bytes));
