//! What the fuzz targets of this crate feed, and what must hold whatever they feed. `fuzz/README.md` tells how to run them;
//! the seeds in `tests/corpus` are replayed here with every test run.

use bytes::Bytes;

use crate::{CloudEvent, EnvelopeError, binding};

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
        let targets: [(&str, Target); 2] = [
            ("cloudevent_json", cloudevent_json),
            ("cloudevent_headers", cloudevent_headers),
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
        assert_eq!(known, targets.len(), "each folder of seeds is a target's");
    }
}
