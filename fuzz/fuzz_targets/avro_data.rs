//! Avro data with the schemas that wrote it and read it: any bytes are a value or an error, within bounded memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| commerce_contracts::fuzzing::avro_data(bytes));
