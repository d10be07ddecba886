//! A batch of CloudEvents: any bytes are events and errors or one error, and the events are written as they were read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_contracts::fuzzing::cloudevent_batch(bytes));
