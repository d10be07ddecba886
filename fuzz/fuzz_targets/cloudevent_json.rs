//! A CloudEvent in structured mode: any bytes are an event or an error, and an event is written as it was read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_contracts::fuzzing::cloudevent_json(bytes));
