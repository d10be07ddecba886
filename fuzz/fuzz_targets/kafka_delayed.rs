//! A record that is to be delivered later: it is delivered as it came, or passed over.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_event_bus::fuzzing::kafka_delayed(bytes));
