//! A stored row: an event that is written as it was read, or bytes that are kept.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_event_bus::fuzzing::sqlite_row(bytes));
