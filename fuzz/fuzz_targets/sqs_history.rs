//! What stands beside a dead letter of SQS: read or not, and written so that it fits.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_event_bus::fuzzing::sqs_history(bytes));
