//! What stands beside a committed offset: only offsets beyond it are taken for settled.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_event_bus::fuzzing::kafka_completed(bytes));
