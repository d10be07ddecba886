//! Messages as rows: the event's attributes as a JSON list of names and values, its data as it is, the headers as one
//! binary value.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes};
use commerce_contracts::binding;

use super::clock::{self, Millis};
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::headers::Headers;
use crate::message::{Message, Undecodable};
use crate::name::TopicName;

/// A message as it is stored.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Option<String>,
    pub(super) attributes: String,
    pub(super) content_type: Option<String>,
    pub(super) data: Option<Bytes>,
    pub(super) headers: Option<Vec<u8>>,
    /// Not before this time, whatever it is now.
    pub(super) due: Option<Millis>,
}

impl Row {
    pub(super) fn encode(message: &Message) -> Result<Self, Error> {
        message.ensure_comes_back()?;
        let event = &message.event;
        let attributes =
            serde_json::to_string(&binding::to_headers(event, "")).map_err(|source| {
                Error::new(
                    ErrorKind::Message,
                    "publish",
                    "the attributes cannot be written as JSON",
                )
                .with_source(source)
            })?;
        let headers = &message.headers;
        Ok(Self {
            key: event.key().map(ToOwned::to_owned),
            attributes,
            content_type: event.data_content_type().map(ToOwned::to_owned),
            data: event.data().cloned(),
            headers: (!headers.is_empty()).then(|| write_headers(headers)),
            due: message.deliver_at.map(clock::not_before),
        })
    }

    /// Roughly what it takes in memory and in the file.
    pub(super) fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        text(&self.key)
            + self.attributes.len()
            + text(&self.content_type)
            + self.data.as_ref().map_or(0, Bytes::len)
            + self.headers.as_ref().map_or(0, Vec::len)
    }
}

/// A stored message as it is read.
#[derive(Debug, Default, sqlx::FromRow)]
pub(super) struct Stored {
    #[sqlx(rename = "message_key")]
    pub(super) key: Option<String>,
    pub(super) attributes: String,
    pub(super) content_type: Option<String>,
    pub(super) data: Option<Vec<u8>>,
    pub(super) headers: Option<Vec<u8>>,
}

/// The message in a row, or the row's bytes as they are.
pub(super) fn decode(topic: &TopicName, stored: Stored) -> Result<Message, Undecodable> {
    let data = stored.data.map(Bytes::from);
    let raw_headers = stored.headers.map(Bytes::from);
    let undecodable = |reason: String| {
        let attributes = Bytes::copy_from_slice(stored.attributes.as_bytes());
        let headers = raw_headers
            .clone()
            .map(|headers| ("headers".to_owned(), headers));
        Undecodable::new(reason, data.clone())
            .with_key(stored.key.clone().map(Bytes::from))
            .with_headers([("attributes".to_owned(), attributes)])
            .with_headers(headers)
    };
    let pairs = pairs(&stored.attributes).ok_or_else(|| {
        undecodable("the attributes are not a JSON list of names and values".to_owned())
    })?;
    let headers = match &raw_headers {
        None => Some(Headers::new()),
        Some(raw) => read_headers(raw.clone()),
    };
    let headers = headers.ok_or_else(|| undecodable("the headers are cut off".to_owned()))?;
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let event = binding::from_headers(&[""], pairs, stored.content_type.as_deref(), data.clone());
    match event {
        Ok(event) => {
            let mut message = Message::new(topic.clone(), event);
            message.headers = headers;
            Ok(message)
        }
        Err(error) => Err(undecodable(error.to_string())),
    }
}

/// Whether a filter wants the message of a row, by its attributes alone. Attributes that cannot be read pass the empty
/// filter only.
pub(super) fn wants(filter: &Filter, attributes: &str, content_type: Option<&str>) -> bool {
    if filter.is_empty() {
        return true;
    }
    let Some(pairs) = pairs(attributes) else {
        return false;
    };
    filter.matches_attributes(|name| match name {
        "datacontenttype" => content_type.map(Cow::Borrowed),
        _ => pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| Cow::Borrowed(value.as_str())),
    })
}

fn pairs(attributes: &str) -> Option<Vec<(String, String)>> {
    serde_json::from_str(attributes).ok()
}

/// How many there are, then each name and each value with its length before it.
pub(super) fn write_headers(headers: &Headers) -> Vec<u8> {
    let mut written = Vec::with_capacity(4 + headers.size() + 8 * headers.len());
    // What is more than four bytes can count is larger than any message may be, and refused for that.
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    written.put_u32(count(headers.len()));
    for (name, value) in headers.iter() {
        for part in [name.as_bytes(), value] {
            written.put_u32(count(part.len()));
            written.put_slice(part);
        }
    }
    written
}

pub(super) fn read_headers(mut written: Bytes) -> Option<Headers> {
    let count = written.try_get_u32().ok()?;
    let mut part = || {
        let length = usize::try_from(written.try_get_u32().ok()?).ok()?;
        (length <= written.len()).then(|| written.split_to(length))
    };
    let headers: Option<Headers> = (0..count)
        .map(|_| Some((String::from_utf8(part()?.into()).ok()?, part()?)))
        .collect();
    headers.filter(|_| written.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use commerce_contracts::CloudEvent;
    use proptest::prelude::*;

    fn topic() -> TopicName {
        TopicName::new("orders").unwrap()
    }

    fn round_trip(message: &Message) -> Result<Message, Undecodable> {
        let row = Row::encode(message).unwrap();
        decode(&topic(), stored(row))
    }

    fn stored(row: Row) -> Stored {
        Stored {
            key: row.key,
            attributes: row.attributes,
            content_type: row.content_type,
            data: row.data.map(Into::into),
            headers: row.headers,
        }
    }

    #[test]
    fn what_is_no_event_comes_back_as_it_is() {
        for attributes in [
            "",
            "{",
            "[]",
            "{\"a\":1}",
            "[[\"specversion\",\"1.0\"]]",
            "[[\"id\",1]]",
        ] {
            let garbage = Stored {
                key: Some("a".to_owned()),
                attributes: attributes.to_owned(),
                data: Some(vec![0xff, 0x00]),
                headers: Some(vec![1]),
                ..Stored::default()
            };
            let kept = decode(&topic(), garbage).unwrap_err();
            assert_eq!(kept.payload.as_deref(), Some(&[0xff, 0x00][..]));
            assert_eq!(kept.key.as_deref(), Some(&b"a"[..]));
            let headers: Vec<_> = kept
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_ref()))
                .collect();
            assert_eq!(
                headers,
                [("attributes", attributes.as_bytes()), ("headers", &[1][..])]
            );
            assert!(!kept.reason.is_empty());
        }
    }

    #[test]
    fn headers_that_are_cut_off_are_not_taken_for_fewer() {
        let message = Message::new(
            topic(),
            CloudEvent::new("/test", "test.row.made.v1").unwrap(),
        )
        .with_header("trace", vec![1, 2, 3])
        .and_then(|message| message.with_header("sign", vec![0xff]))
        .unwrap();
        let whole = Row::encode(&message).unwrap().headers.unwrap();
        for length in 0..whole.len() {
            let cut = Bytes::copy_from_slice(&whole[..length]);
            assert!(read_headers(cut).is_none(), "{length} of {}", whole.len());
        }
        assert_eq!(read_headers(whole.into()).unwrap(), message.headers);
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9._-]{0,9}"
    }

    proptest! {
        #[test]
        fn every_event_survives(
            subject in "\\PC{1,40}",
            key in proptest::option::of("\\PC{1,40}"),
            data in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
            headers in proptest::collection::vec((name(), proptest::collection::vec(any::<u8>(), 0..50)), 0..4),
        ) {
            let event = CloudEvent::new("/test", "test.row.made.v1").unwrap();
            // Some texts are no valid attribute: refused when made, so never stored.
            let Ok(mut event) = event.with_subject(subject) else { return Ok(()) };
            if let Some(key) = key {
                let Ok(keyed) = event.with_key(key) else { return Ok(()) };
                event = keyed;
            }
            if let Some(data) = data {
                event = event.with_data("application/octet-stream", data).unwrap();
            }
            let mut message = Message::new(topic(), event);
            message.headers = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
            prop_assert_eq!(round_trip(&message).unwrap(), message);
        }

        #[test]
        fn foreign_headers_are_read_or_not_and_nothing_worse(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(headers) = read_headers(bytes.clone().into()) {
                prop_assert_eq!(write_headers(&headers), bytes);
            }
        }

        #[test]
        fn a_filter_wants_of_a_row_what_it_wants_of_the_event(
            subject in proptest::option::of("[ab]{1,3}"),
            tenant in proptest::option::of(prop_oneof![Just("1"), Just("true"), Just("a b")]),
            data in any::<bool>(),
            attribute in prop_oneof![
                Just("subject"), Just("tenant"), Just("count"), Just("time"), Just("type"), Just("id"),
                Just("datacontenttype"), Just("specversion"), Just("dataschema"), Just("partitionkey"),
            ],
            value in prop_oneof![Just("a"), Just("1"), Just("true"), Just("text/plain"), Just("1.0"), Just("k"), Just("2")],
            test in 0..3_u8,
        ) {
            let mut event = CloudEvent::new("/test", "test.row.made.v1").unwrap();
            event = event.with_extension("count", 1).unwrap().with_key("k").unwrap();
            if let Some(subject) = subject {
                event = event.with_subject(subject).unwrap();
            }
            if let Some(tenant) = tenant {
                event = event.with_extension("tenant", tenant).unwrap();
            }
            if data {
                event = event.with_data("text/plain", "x").unwrap();
            }
            let filter = match test {
                0 => Filter::new().equals(attribute, value),
                1 => Filter::new().prefix(attribute, value),
                _ => Filter::new().exists(attribute),
            };
            let row = Row::encode(&Message::new(topic(), event.clone())).unwrap();
            prop_assert_eq!(wants(&filter, &row.attributes, row.content_type.as_deref()), filter.matches(&event));
        }
    }
}
