//! What fuzzers feed of RabbitMQ: properties as they are on the wire, and after them the body.

#![expect(
    clippy::missing_panics_doc,
    reason = "a panic is what a fuzzer looks for"
)]

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::protocol::basic::parse_properties;
use lapin::types::FieldTable;

use super::config::Config;
use super::dead_letter::letter;
use super::envelope::{decode, encode, is_wanted, republished};
use super::trail::{Trail, without_trail};
use crate::dead_letter::REASONS;
use crate::error::Error;
use crate::fuzzing::{filters_agree, is_kept, is_same, subscription, topic};

fn message(input: &[u8]) -> Option<(BasicProperties, Bytes)> {
    let (body, properties) = parse_properties(input).ok()?;
    Some((properties, Bytes::copy_from_slice(body)))
}

/// A message as an event, and the event as a message.
pub fn rabbitmq_message(input: &[u8]) {
    let Some((properties, body)) = message(input) else {
        return;
    };
    let topic = topic();
    match decode(&topic, &properties, &body) {
        Ok(message) => {
            filters_agree(&message.event, |filter| {
                is_wanted(filter, &properties, &body)
            });
            // What is too long for AMQP is refused, and what would come back as another event.
            if let Ok((properties, body)) = encode(&message) {
                is_same(decode(&topic, &properties, &body), &message);
            }
        }
        Err(undecodable) => is_kept(&undecodable, undecodable.key.as_ref(), Some(&body)),
    }
}

/// A message in a queue of dead letters.
pub fn rabbitmq_letter(input: &[u8]) {
    let Some((properties, body)) = message(input) else {
        return;
    };
    let (topic, name) = (topic(), subscription());
    let headers = properties.headers().clone().unwrap_or_default();
    let original = republished(&properties, without_trail(&headers));
    let letter = letter(&topic, &name, &properties, &body, u32::MAX);
    assert_eq!(letter.body, decode(&topic, &original, &body));
    assert!(letter.reasons.len() <= REASONS);

    // A trail survives the next queue.
    let trail = Trail::read(&headers);
    let mut written = FieldTable::default();
    trail.write(&mut written);
    assert_eq!(Trail::read(&written), trail);
    assert_eq!(without_trail(&written), FieldTable::default());
}

pub(crate) fn url(rest: &str) -> Result<(), Error> {
    let names_a_file = |rest: &str| {
        let (_, query) = rest.split_once('?').unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "tls_ca")
    };
    // Which would be opened.
    if names_a_file(rest) {
        return Ok(());
    }
    let config = Config::parse("amqp", rest)?;
    let _ = format!("{config:?}");
    Ok(())
}
