//! A pattern of topics: what it matches is what its parts say.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_event_bus::fuzzing::topic_pattern(bytes));
