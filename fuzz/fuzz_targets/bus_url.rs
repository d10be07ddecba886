//! A bus URL: read by every backend, and no error tells the password.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_event_bus::fuzzing::bus_url(bytes));
