//! What fuzzers feed of SQS and SNS: bodies with attributes, as they are or in SNS's envelope, and what stands beside dead
//! letters.

#![expect(
    clippy::missing_panics_doc,
    reason = "a panic is what a fuzzer looks for"
)]

use std::collections::BTreeMap;

use bytes::Bytes;

use super::config::Config;
use super::history::History;
use super::wire::{HISTORY, Value, Wire, decode, encode, open_envelope};
use crate::error::Error;
use crate::fuzzing::{is_same, lines_and_body, topic};

/// More than any input has.
const LIMIT: usize = 1024 * 1024;

/// A body, after lines of attributes if there are any: as an event, and the event as a body.
pub fn sqs_message(input: &[u8]) {
    let (lines, body) = lines_and_body(input);
    // Without an empty line all of it is a body.
    let (lines, body) = match body {
        Some(body) => (lines, body),
        None => (Vec::new(), Bytes::copy_from_slice(input)),
    };
    let Ok(body) = String::from_utf8(body.to_vec()) else {
        return;
    };
    let attribute = |(name, value): (String, Option<Bytes>)| {
        let bytes = value.unwrap_or_default();
        let value = match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Value::text(text),
            Err(_) => Value::binary(bytes),
        };
        (name, value)
    };
    let attributes: BTreeMap<_, _> = lines.into_iter().map(attribute).collect();
    let wire = Wire { body, attributes };
    let topic = topic();
    match decode(&topic, &wire, Some("order-17")) {
        Ok(message) => {
            // What would come back as another event is refused.
            if let Ok(again) = encode(&message, LIMIT) {
                is_same(decode(&topic, &again, None), &message);
            }
        }
        Err(undecodable) => {
            let body = Bytes::from(wire.body.clone().into_bytes());
            let beside = ("body".to_owned(), body.clone());
            let is_kept = undecodable.payload.as_ref() == Some(&body);
            assert!(is_kept || undecodable.headers.contains(&beside), "kept");
            assert_eq!(undecodable.key.as_deref(), Some("order-17".as_bytes()));
            let reason = &undecodable.reason;
            assert!(!reason.is_empty() && reason.len() < 1000, "{reason}");
        }
    }
    // An envelope holds what it holds, whatever is done with it.
    if let Ok(Some(inner)) = open_envelope(&wire.body) {
        assert!(inner.body.len() <= wire.body.len());
    }
}

/// What is written beside a dead letter.
pub fn sqs_history(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let told = |text: String| {
        History::of(&Wire {
            body: String::new(),
            attributes: BTreeMap::from([(HISTORY.to_owned(), Value::text(text))]),
        })
    };
    let Some(history) = told(text.to_owned()) else {
        return;
    };
    let history = history.rejected("of no use", 0);
    let again = told(history.written(usize::MAX)).expect("what was written is read");
    assert_eq!(
        (again.order, again.attempts),
        (history.order, history.attempts)
    );
    assert!(again.reasons.len() <= history.reasons.len());
}

pub(crate) fn url(rest: &str) -> Result<(), Error> {
    Config::parse(rest).map(drop)
}
