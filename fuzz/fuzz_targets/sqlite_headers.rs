//! The headers of a stored row: read as they were written, or not at all.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_event_bus::fuzzing::sqlite_headers(bytes));
