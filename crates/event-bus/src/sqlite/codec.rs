//! Events as rows: attributes as a JSON list of names and values, the data as it is.

use bytes::Bytes;
use commerce_contracts::binding;

use crate::error::{Error, ErrorKind};
use crate::message::{Message, Undecodable};
use crate::name::TopicName;

/// A message as it is stored.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Option<String>,
    pub(super) headers: String,
    pub(super) content_type: Option<String>,
    pub(super) data: Option<Bytes>,
}

impl Row {
    pub(super) fn encode(message: &Message) -> Result<Self, Error> {
        let event = &message.event;
        let headers = serde_json::to_string(&binding::to_headers(event, "")).map_err(|source| {
            Error::new(
                ErrorKind::Message,
                "publish",
                "the attributes cannot be written as JSON",
            )
            .with_source(source)
        })?;
        Ok(Self {
            key: event.key().map(ToOwned::to_owned),
            headers,
            content_type: event.data_content_type().map(ToOwned::to_owned),
            data: event.data().cloned(),
        })
    }

    /// Roughly what it takes in memory and in the file.
    pub(super) fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        text(&self.key)
            + self.headers.len()
            + text(&self.content_type)
            + self.data.as_ref().map_or(0, Bytes::len)
    }
}

/// A stored message as it is read: headers, content type, data.
pub(super) type Stored = (String, Option<String>, Option<Vec<u8>>);

/// The event in a row, or the row's bytes as they are.
pub(super) fn decode(
    topic: &TopicName,
    (headers, content_type, data): Stored,
) -> Result<Message, Undecodable> {
    let data = data.map(Bytes::from);
    let undecodable = |reason: String| {
        let raw = Bytes::copy_from_slice(headers.as_bytes());
        Undecodable::new(reason, data.clone()).with_headers([("headers".to_owned(), raw)])
    };
    let pairs: Vec<(String, String)> = serde_json::from_str(&headers).map_err(|_| {
        undecodable("the headers are not a JSON list of names and values".to_owned())
    })?;
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let event = binding::from_headers(&[""], pairs, content_type.as_deref(), data.clone());
    match event {
        Ok(event) => Ok(Message::new(topic.clone(), event)),
        Err(error) => Err(undecodable(error.to_string())),
    }
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
        decode(
            &topic(),
            (
                row.headers,
                row.content_type,
                row.data.map(|data| data.to_vec()),
            ),
        )
    }

    #[test]
    fn what_is_no_event_comes_back_as_it_is() {
        let garbage = || Some(vec![0xff, 0x00]);
        for headers in [
            "",
            "{",
            "[]",
            "{\"a\":1}",
            "[[\"specversion\",\"1.0\"]]",
            "[[\"id\",1]]",
        ] {
            let kept = decode(&topic(), (headers.to_owned(), None, garbage())).unwrap_err();
            assert_eq!(kept.payload.as_deref(), Some(&[0xff, 0x00][..]));
            assert_eq!(kept.headers[0].1, headers.as_bytes());
            assert!(!kept.reason.is_empty());
        }
    }

    proptest! {
        #[test]
        fn every_event_survives(
            subject in "\\PC{1,40}",
            key in proptest::option::of("\\PC{1,40}"),
            data in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
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
            let message = Message::new(topic(), event);
            prop_assert_eq!(round_trip(&message).unwrap(), message);
        }
    }
}
