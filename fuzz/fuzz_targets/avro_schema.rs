//! An Avro schema: any text is one or an error, and a schema is written as it was read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_contracts::fuzzing::avro_schema(bytes));
