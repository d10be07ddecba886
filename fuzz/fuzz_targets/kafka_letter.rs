//! A Kafka dead letter: whatever its headers, the message in it is the one that was rejected.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_event_bus::fuzzing::kafka_letter(bytes));
