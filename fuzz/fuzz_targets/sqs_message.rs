//! A body and attributes of SQS, or SNS's envelope: an event that is written as it was read, or bytes that are kept.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_event_bus::fuzzing::sqs_message(bytes));
