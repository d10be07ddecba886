//! What the fuzz targets of this crate feed, and what must hold whatever they feed. `fuzz/README.md` tells how to run them;
//! the seeds in `tests/corpus` are replayed here with every test run.

#[cfg(all(feature = "gate", feature = "validation"))]
mod evolution;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::avro::{Decoder, Schema};
use crate::{CloudEvent, EnvelopeError, binding};

#[cfg(all(feature = "gate", feature = "validation"))]
pub use evolution::{compatibility_avro, compatibility_json, schema_directory};

/// An event in structured mode.
pub fn cloudevent_json(json: &[u8]) {
    match CloudEvent::from_json(json) {
        Ok(event) => survives(&event),
        Err(error) => is_short(&error),
    }
}

/// Headers as lines `name: value`, an empty line, and the data, as HTTP has them: binary mode. The header `content-type` is
/// the transport's own field; without the empty line there is no data.
pub fn cloudevent_headers(message: &[u8]) {
    let at = message.windows(2).position(|two| two == b"\n\n");
    let (head, data) = match at {
        Some(at) => (
            &message[..at],
            Some(Bytes::copy_from_slice(&message[at + 2..])),
        ),
        None => (message, None),
    };
    let head = String::from_utf8_lossy(head);
    let mut headers: Vec<_> = head
        .split('\n')
        .filter_map(|line| line.split_once(": "))
        .collect();
    let content_type = headers
        .iter()
        .position(|(name, _)| *name == "content-type")
        .map(|at| headers.swap_remove(at).1);
    match binding::from_headers(&["ce_"], headers.into_iter(), content_type, data) {
        Ok(event) => survives(&event),
        Err(error) => is_short(&error),
    }
}

/// An Avro schema as JSON: what is one, is written and read again as the same, and data of it can be read.
pub fn avro_schema(json: &[u8]) {
    let Some(schema) = schema(json) else { return };
    let text = schema.to_string();
    let again = Schema::parse(&text).expect("what was written is a schema");
    assert_eq!(again, schema);
    assert_eq!(again.fingerprint(), schema.fingerprint());
    let canonical =
        Schema::parse(&schema.canonical_form()).expect("the canonical form is a schema");
    assert_eq!(canonical.fingerprint(), schema.fingerprint());
    // Aliases may name another field of the same record: no reader could tell them apart then.
    if let Ok(decoder) = Decoder::new(&schema, &schema) {
        let _ = decoder.decode::<Value>(&[]);
    }
}

/// A line with the writer's schema, one with the reader's, then data of the writer's: it is read as a value or refused;
/// what can be read can be passed over, and what is written again can be read again.
pub fn avro_data(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let (Some(writer), Some(reader), Some(data)) = (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let (Some(writer), Some(reader)) = (schema(writer), schema(reader)) else {
        return;
    };
    if let Ok(decoder) = Decoder::new(&writer, &reader) {
        let value = decoder.decode::<Value>(data);
        let passed_over = decoder.decode::<IgnoredAny>(data);
        if value.is_ok() {
            assert!(passed_over.is_ok(), "{passed_over:?}");
        }
    }
    let Ok(decoder) = Decoder::new(&writer, &writer) else {
        return;
    };
    if let Ok(value) = decoder.decode::<Value>(data) {
        // A value that JSON cannot hold (a number that is none) is not written again.
        if let Ok(rewritten) = writer.encode(&value) {
            decoder
                .decode::<Value>(&rewritten)
                .expect("what was written is read");
        }
    }
}

/// A batch.
pub fn cloudevent_batch(json: &[u8]) {
    let events = match CloudEvent::from_json_batch(json) {
        Ok(events) => events,
        Err(error) => return is_short(&error),
    };
    let mut read = Vec::new();
    for event in events {
        match event {
            Ok(event) => read.push(event),
            Err(error) => is_short(&error),
        }
    }
    let again = CloudEvent::from_json_batch(&CloudEvent::to_json_batch(&read));
    let again: Result<Vec<_>, _> = again.and_then(|events| events.into_iter().collect());
    assert_eq!(again, Ok(read), "through a batch");
}

/// A message of HTTP in any mode: headers as lines `name: value`, an empty line, and the body.
pub fn cloudevent_http(message: &[u8]) {
    let at = message.windows(2).position(|two| two == b"\n\n");
    let (head, body) = match at {
        Some(at) => (&message[..at], &message[at + 2..]),
        None => (message, &b""[..]),
    };
    let headers = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.windows(2).position(|two| two == b": ")?;
        Some((std::str::from_utf8(&line[..at]).ok()?, &line[at + 2..]))
    });
    let headers: Vec<(&str, &[u8])> = headers.collect();
    let body = Bytes::copy_from_slice(body);
    let one = binding::http::read(headers.iter().copied(), body.clone());
    match binding::http::read_all(headers, body) {
        Ok(events) => {
            if let Ok(one) = one {
                assert_eq!(events, [Ok(one)], "one event is all there is");
            }
            for event in events {
                match event {
                    Ok(event) => survives(&event),
                    Err(error) => is_short(&error),
                }
            }
        }
        Err(error) => {
            assert!(one.is_err(), "what all modes refuse, one refuses");
            is_short(&error);
        }
    }
}

fn schema(json: &[u8]) -> Option<Schema> {
    std::str::from_utf8(json)
        .ok()
        .and_then(|json| Schema::parse(json).ok())
}

/// However an event was read, it can be written and read again as the same.
fn survives(event: &CloudEvent) {
    let again = CloudEvent::from_json(&event.to_json());
    assert_eq!(again.as_ref(), Ok(event), "through JSON");
    let headers = binding::to_headers(event, "ce_");
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let content_type = event.data_content_type();
    match binding::from_headers(&["ce_"], pairs, content_type, event.data().cloned()) {
        Ok(again) => assert_eq!(again, as_text(event), "through headers"),
        // Headers cannot tell an event in an event from one in structured mode.
        Err(error) => assert_eq!(error, EnvelopeError::UnsupportedFormat),
    }
    through_kafka(event);
    through_http(event);
    through_amqp(event);
}

fn through_kafka(event: &CloudEvent) {
    let Ok(record) = binding::kafka::to_binary(event) else {
        return assert!(event.data_content_type().is_some_and(is_nested));
    };
    let headers = record.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), Some(value.as_bytes())));
    let again = binding::kafka::read(headers, record.value.clone());
    assert_eq!(again, Ok(as_text(event)), "through Kafka");
}

fn through_http(event: &CloudEvent) {
    let Ok(message) = binding::http::to_binary(event) else {
        let content_type = event.data_content_type().unwrap_or_default();
        let is_plain = content_type
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte));
        return assert!(is_nested(content_type) || !is_plain);
    };
    for (name, value) in &message.headers {
        let is_plain = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        assert!(is_plain, "{name} as HTTP cannot have it");
    }
    let headers = message.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let again = binding::http::read(headers, message.body.clone().unwrap_or_default());
    let mut expected = as_text(event);
    // HTTP has no space around a value, no media type without data, and no empty data without a media type.
    let content_type = expected.data_content_type.take();
    expected.data_content_type = content_type
        .map(|content_type| content_type.trim().to_owned())
        .filter(|content_type| !content_type.is_empty() && expected.data.is_some());
    if expected.data_content_type.is_none() {
        expected.data = expected.data.filter(|data| !data.is_empty());
    }
    assert_eq!(again, Ok(expected), "through HTTP");
}

fn through_amqp(event: &CloudEvent) {
    let Ok(message) = binding::amqp::to_binary(event) else {
        return assert!(event.data_content_type().is_some_and(is_nested));
    };
    let properties = message.application_properties.iter();
    let properties = properties.map(|(name, value)| (name.as_str(), value));
    let content_type = message.content_type.as_deref();
    let again = binding::amqp::read(content_type, properties, message.body.clone());
    assert_eq!(again.as_ref(), Ok(event), "through AMQP");
}

/// Whether the media type is that of events, so that binary mode refuses it.
fn is_nested(content_type: &str) -> bool {
    let start = content_type.trim_start().get(..23).unwrap_or_default();
    start.eq_ignore_ascii_case("application/cloudevents")
}

/// A header is text, whatever the attribute was.
fn as_text(event: &CloudEvent) -> CloudEvent {
    let mut event = event.clone();
    for value in event.extensions.values_mut() {
        *value = value.to_string().into();
    }
    event
}

/// What is wrong is told to logs and dead letters, so it must not grow with what is wrong.
fn is_short(error: &EnvelopeError) {
    let text = error.to_string();
    assert!(text.len() < 1000, "{} bytes of error", text.len());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    type Target = fn(&[u8]);

    #[test]
    fn every_seed_of_the_fuzz_targets_holds() {
        let targets: &[(&str, Target)] = &[
            ("cloudevent_json", cloudevent_json),
            ("cloudevent_headers", cloudevent_headers),
            ("avro_schema", avro_schema),
            ("avro_data", avro_data),
            ("cloudevent_batch", cloudevent_batch),
            ("cloudevent_http", cloudevent_http),
            #[cfg(all(feature = "gate", feature = "validation"))]
            ("compatibility_avro", compatibility_avro),
            #[cfg(all(feature = "gate", feature = "validation"))]
            ("compatibility_json", compatibility_json),
            #[cfg(all(feature = "gate", feature = "validation"))]
            ("schema_directory", schema_directory),
        ];
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
        for (name, target) in targets {
            let seeds = fs::read_dir(corpus.join(name)).unwrap();
            let seeds: Vec<_> = seeds.map(|seed| seed.unwrap().path()).collect();
            assert!(!seeds.is_empty(), "{name} has no seeds");
            for seed in seeds {
                println!("{}", seed.display());
                target(&fs::read(seed).unwrap());
            }
        }
        let known = fs::read_dir(corpus).unwrap().count();
        let elsewhere = if cfg!(all(feature = "gate", feature = "validation")) {
            0
        } else {
            3
        };
        let all = targets.len() + elsewhere;
        assert_eq!(known, all, "each folder of seeds is a target's");
    }
}
