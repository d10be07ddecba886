//! Structured mode: any bytes are an event or an error; an event is written as it was read.
#![no_main]

use commerce_contracts::CloudEvent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Ok(event) = CloudEvent::from_json(json) {
        let again = CloudEvent::from_json(&event.to_json()).expect("what was written can be read");
        assert_eq!(event, again);
    }
});
