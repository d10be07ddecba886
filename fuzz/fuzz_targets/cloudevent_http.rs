//! A CloudEvent over HTTP in any mode: any headers and body are events or errors, and an event survives every binding.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_contracts::fuzzing::cloudevent_http(bytes));
