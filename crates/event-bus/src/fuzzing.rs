//! What the fuzz targets of this crate feed, and what must hold whatever they feed. `fuzz/README.md` tells how to run them;
//! the seeds in `tests/corpus` are replayed here with every test run.
//!
//! A backend's targets are in its own folder, beside what they decode.

use bytes::Bytes;
use commerce_contracts::{CloudEvent, binding};

use crate::clock::Clock;
use crate::filter::Filter;
#[cfg(feature = "kafka")]
pub use crate::kafka::fuzzing::{kafka_completed, kafka_delayed, kafka_letter, kafka_record};
use crate::memory::Memory;
use crate::message::{Message, Undecodable};
use crate::name::{SubscriptionName, TopicName};
use crate::pattern::TopicPattern;
#[cfg(feature = "rabbitmq")]
pub use crate::rabbitmq::fuzzing::{rabbitmq_letter, rabbitmq_message};
#[cfg(feature = "sqlite")]
pub use crate::sqlite::fuzzing::{sqlite_headers, sqlite_row};
#[cfg(feature = "sqs")]
pub use crate::sqs::fuzzing::{sqs_history, sqs_message};

/// A URL after its scheme, with a user and a password before it: read by every backend, and no error tells the password.
pub fn bus_url(rest: &[u8]) {
    const SECRET: &str = "pass-w0rd";
    let Ok(rest) = std::str::from_utf8(rest) else {
        return;
    };
    let with_user = format!(
        "//user:{SECRET}@{}",
        rest.strip_prefix("//").unwrap_or(rest)
    );
    for rest in [rest, &with_user] {
        let outcomes = [
            Memory::connect(rest, Clock::new()).map(drop),
            #[cfg(feature = "sqlite")]
            crate::sqlite::fuzzing::url(rest),
            #[cfg(feature = "kafka")]
            crate::kafka::fuzzing::url(rest),
            #[cfg(feature = "rabbitmq")]
            crate::rabbitmq::fuzzing::url(rest),
            #[cfg(feature = "sqs")]
            crate::sqs::fuzzing::url(rest),
        ];
        for error in outcomes.into_iter().filter_map(Result::err) {
            let told = format!("{error} {error:?}");
            assert!(!told.contains(SECRET), "{told}");
        }
    }
}

/// A pattern, and after an end of line a topic's name.
pub fn topic_pattern(lines: &[u8]) {
    let lines = String::from_utf8_lossy(lines);
    let (pattern, topic) = lines.split_once('\n').unwrap_or((&lines, "orders"));
    if let Ok(name) = SubscriptionName::new(pattern) {
        assert_eq!(name.as_str(), pattern);
    }
    let (Ok(pattern), Ok(topic)) = (TopicPattern::new(pattern), TopicName::new(topic)) else {
        return;
    };
    let wanted: Vec<_> = pattern.as_str().split('.').collect();
    let parts: Vec<_> = topic.as_str().split('.').collect();
    assert_eq!(pattern.matches(&topic), covers(&wanted, &parts));
    let own = TopicPattern::new(&topic).expect("a name is a pattern");
    assert!(own.matches(&topic), "a name matches itself");
}

fn covers(wanted: &[&str], parts: &[&str]) -> bool {
    match (wanted, parts) {
        ([], []) | (["**"], [_, ..]) => true,
        ([first, wanted @ ..], [part, parts @ ..]) => {
            (*first == "*" || first == part) && covers(wanted, parts)
        }
        _ => false,
    }
}

/// Lines `name: value`, of which one without a colon is a name without a value, an empty line, and a body, as HTTP has
/// them: such seeds can be read. No empty line, no body.
pub(crate) fn lines_and_body(input: &[u8]) -> (Vec<(String, Option<Bytes>)>, Option<Bytes>) {
    let input = Bytes::copy_from_slice(input);
    let end = input.windows(2).position(|two| two == b"\n\n");
    let body = end.map(|end| input.slice(end + 2..));
    let head = input.slice(..end.unwrap_or(input.len()));
    let line = |line: &[u8]| {
        let colon = line.windows(2).position(|two| two == b": ");
        let name = String::from_utf8_lossy(&line[..colon.unwrap_or(line.len())]);
        let value = colon.map(|colon| head.slice_ref(&line[colon + 2..]));
        (name.into_owned(), value)
    };
    let lines = head.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty()).map(line).collect();
    (lines, body)
}

pub(crate) fn topic() -> TopicName {
    TopicName::new("orders").expect("a name")
}

pub(crate) fn subscription() -> SubscriptionName {
    SubscriptionName::new("billing").expect("a name")
}

/// What was read is what is read after it was written, but for the types of extensions: headers are text.
pub(crate) fn is_same(again: Result<Message, Undecodable>, message: &Message) {
    let again = match again {
        Ok(again) => again,
        Err(undecodable) => panic!("{message:?} cannot be read again: {undecodable:?}"),
    };
    let attributes = |event: &CloudEvent| binding::to_headers(event, "");
    let (one, other) = (&again.event, &message.event);
    assert_eq!(attributes(one), attributes(other));
    assert_eq!(one.data_content_type(), other.data_content_type());
    assert_eq!(one.data(), other.data());
    assert!(
        again.headers.iter().eq(message.headers.iter()),
        "{again:?} is not {message:?}"
    );
}

/// What is no event is kept as it is, and what is wrong with it is told briefly.
pub(crate) fn is_kept(undecodable: &Undecodable, key: Option<&Bytes>, payload: Option<&Bytes>) {
    assert_eq!(undecodable.key.as_ref(), key);
    assert_eq!(undecodable.payload.as_ref(), payload);
    let reason = &undecodable.reason;
    assert!(!reason.is_empty() && reason.len() < 1000, "{reason}");
}

/// A filter judges a message before it is decoded as it judges the event.
pub(crate) fn filters_agree(event: &CloudEvent, is_wanted: impl Fn(&Filter) -> bool) {
    const NAMES: [&str; 8] = [
        "subject",
        "time",
        "dataschema",
        "datacontenttype",
        "partitionkey",
        "traceparent",
        "x",
        "",
    ];
    let content_type = event
        .data_content_type()
        .map(|media_type| ("datacontenttype".to_owned(), media_type.to_owned()));
    let attributes = binding::to_headers(event, "").into_iter();
    let mut filters: Vec<_> = NAMES.map(|name| Filter::new().exists(name)).into();
    for (name, value) in attributes.chain(content_type) {
        filters.push(Filter::new().prefix(name.as_str(), "a"));
        filters.push(Filter::new().equals(name, value));
    }
    for filter in filters {
        let wanted = filter.matches(event);
        assert_eq!(is_wanted(&filter), wanted, "{filter:?} of {event:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    type Target = fn(&[u8]);

    /// Of every backend, built in or not: there are no other folders of seeds.
    const TARGETS: usize = 12;

    #[test]
    fn every_seed_of_the_fuzz_targets_holds() {
        let targets: &[(&str, Target)] = &[
            ("bus_url", bus_url),
            ("topic_pattern", topic_pattern),
            #[cfg(feature = "kafka")]
            ("kafka_completed", kafka_completed),
            #[cfg(feature = "kafka")]
            ("kafka_delayed", kafka_delayed),
            #[cfg(feature = "kafka")]
            ("kafka_letter", kafka_letter),
            #[cfg(feature = "kafka")]
            ("kafka_record", kafka_record),
            #[cfg(feature = "rabbitmq")]
            ("rabbitmq_letter", rabbitmq_letter),
            #[cfg(feature = "rabbitmq")]
            ("rabbitmq_message", rabbitmq_message),
            #[cfg(feature = "sqlite")]
            ("sqlite_headers", sqlite_headers),
            #[cfg(feature = "sqlite")]
            ("sqlite_row", sqlite_row),
            #[cfg(feature = "sqs")]
            ("sqs_history", sqs_history),
            #[cfg(feature = "sqs")]
            ("sqs_message", sqs_message),
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
        assert_eq!(known, TARGETS, "each folder of seeds is a target's");
    }
}
