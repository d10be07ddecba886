//! An event as a Kafka record, and a record as an event: the CloudEvents Kafka binding.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use commerce_contracts::CloudEvent;
use commerce_contracts::binding;
use rdkafka::message::{BorrowedMessage, Header, Message as _, OwnedHeaders};

use crate::message::{Message, Undecodable};
use crate::name::TopicName;

const PREFIX: &str = "ce_";
const CONTENT_TYPE: &str = "content-type";

/// Names the only subscription that a redriven record is for. The others of the topic pass over it.
pub(super) const REDRIVEN_FOR: &str = "redriven-for";

/// A record, copied out of the client's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: Option<Bytes>,
    /// `None` is a null value: a tombstone. Empty is empty.
    pub(super) payload: Option<Bytes>,
    /// In order; names may repeat and values may be null.
    pub(super) headers: Vec<(String, Option<Bytes>)>,
}

impl Record {
    /// Copies a record, so that the client's buffer is freed.
    pub(super) fn copy(message: &BorrowedMessage<'_>) -> Self {
        let headers = || -> Vec<(String, Option<Bytes>)> {
            message
                .headers()
                .into_iter()
                .flat_map(rdkafka::message::Headers::iter)
                .map(|header| copy_header(&header))
                .collect()
        };
        // The client panics at a header whose name is not UTF-8. One such record must not end the subscription: it goes
        // on without headers, which makes it undecodable.
        let headers = catch_unwind(AssertUnwindSafe(headers)).unwrap_or_else(|_| {
            tracing::warn!(
                partition = message.partition(),
                offset = message.offset(),
                "a header name is not UTF-8; the record's headers are not read"
            );
            Vec::new()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(Bytes::copy_from_slice),
            payload: message.payload().map(Bytes::copy_from_slice),
            headers,
        }
    }

    /// A record for the producer: where it lands is decided there.
    pub(super) fn of(event: &CloudEvent) -> Self {
        let mut headers: Vec<(String, Option<Bytes>)> = binding::to_headers(event, PREFIX)
            .into_iter()
            .map(|(name, value)| (name, Some(Bytes::from(value))))
            .collect();
        if let Some(content_type) = event.data_content_type() {
            headers.push((
                CONTENT_TYPE.to_owned(),
                Some(Bytes::copy_from_slice(content_type.as_bytes())),
            ));
        }
        Self {
            partition: -1,
            offset: -1,
            key: event
                .key()
                .map(|key| Bytes::copy_from_slice(key.as_bytes())),
            payload: event.data().cloned(),
            headers,
        }
    }

    /// `partition@offset`.
    pub(super) fn position(&self) -> String {
        position(self.partition, self.offset)
    }

    /// The value of a header as text; the last one of the name counts.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .rev()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// Whether another subscription's dead letter was redriven here.
    pub(super) fn is_for_another(&self, subscription: &str) -> bool {
        self.header(REDRIVEN_FOR)
            .is_some_and(|only| only != subscription)
    }

    /// The event in the record, in binary or structured mode.
    pub(super) fn decode(&self, topic: &TopicName) -> Result<Message, Undecodable> {
        self.event()
            .map(|event| Message::new(topic.clone(), event))
            .map_err(|reason| {
                Undecodable::new(reason, self.payload.clone()).with_headers(self.plain_headers())
            })
    }

    fn event(&self) -> Result<CloudEvent, String> {
        let content_type = self.header(CONTENT_TYPE);
        let event = if content_type.is_some_and(binding::is_structured) {
            let payload = self
                .payload
                .as_deref()
                .ok_or("structured mode without a payload")?;
            CloudEvent::from_json(payload).map_err(|error| error.to_string())?
        } else {
            let mut attributes = Vec::with_capacity(self.headers.len());
            for (name, value) in self
                .headers
                .iter()
                .filter(|(name, _)| name.starts_with(PREFIX))
            {
                let value = value
                    .as_deref()
                    .ok_or_else(|| format!("header {name:?} is null"))?;
                let value = std::str::from_utf8(value)
                    .map_err(|_| format!("header {name:?} is not UTF-8"))?;
                attributes.push((name.as_str(), value));
            }
            binding::from_headers(
                &[PREFIX],
                attributes.into_iter(),
                content_type,
                self.payload.clone(),
            )
            .map_err(|error| error.to_string())?
        };
        // Others may write the key only where Kafka has it.
        match self.key.as_deref().map(std::str::from_utf8) {
            Some(Ok(key)) if event.key().is_none() && !key.is_empty() => event
                .with_key(key)
                .map_err(|error| format!("record key: {error}")),
            _ => Ok(event),
        }
    }

    fn plain_headers(&self) -> Vec<(String, Bytes)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()))
            .collect()
    }

    /// The headers as the producer takes them.
    pub(super) fn owned_headers(&self) -> OwnedHeaders {
        self.headers.iter().fold(
            OwnedHeaders::new_with_capacity(self.headers.len()),
            |headers, (name, value)| {
                headers.insert(Header {
                    key: name,
                    value: value.as_deref(),
                })
            },
        )
    }
}

fn copy_header(header: &Header<'_, &[u8]>) -> (String, Option<Bytes>) {
    (
        header.key.to_owned(),
        header.value.map(Bytes::copy_from_slice),
    )
}

/// Where a record is.
pub(super) fn position(partition: i32, offset: i64) -> String {
    format!("{partition}@{offset}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> TopicName {
        TopicName::new("orders").unwrap()
    }

    fn event() -> CloudEvent {
        CloudEvent::new("/orders", "orders.order.created.v1")
            .unwrap()
            .with_key("k1")
            .unwrap()
    }

    #[test]
    fn binary_mode_comes_back_as_it_went() {
        let with_data = event()
            .with_data("application/json", &b"{}"[..])
            .unwrap()
            .with_trace_state("a=b")
            .unwrap();
        let empty = event()
            .with_data("application/octet-stream", Bytes::new())
            .unwrap();
        for event in [with_data, empty, event()] {
            let record = Record::of(&event);
            assert_eq!(record.key.as_deref(), Some(&b"k1"[..]));
            assert_eq!(record.payload.as_ref(), event.data());
            assert_eq!(record.decode(&topic()).unwrap().event, event);
        }
    }

    #[test]
    fn structured_mode_is_read() {
        let event = event()
            .with_data("application/json", &b"{\"a\":1}"[..])
            .unwrap();
        let record = Record {
            partition: 0,
            offset: 0,
            key: None,
            payload: Some(Bytes::from(event.to_json())),
            headers: vec![(
                "Content-Type".to_owned(),
                Some(Bytes::from_static(b"application/cloudevents+json")),
            )],
        };
        let read = record.decode(&topic()).unwrap().event;
        assert_eq!(
            (read.id(), read.key(), read.data()),
            (event.id(), Some("k1"), event.data())
        );
    }

    #[test]
    fn a_key_that_only_kafka_carries_becomes_the_events_key() {
        let mut record = Record::of(&event());
        record.headers.retain(|(name, _)| name != "ce_partitionkey");
        record.key = Some(Bytes::from_static(b"other"));
        assert_eq!(record.decode(&topic()).unwrap().key(), Some("other"));
    }

    #[test]
    fn what_is_no_event_is_kept_byte_for_byte() {
        let headers = vec![
            (
                "ce_specversion".to_owned(),
                Some(Bytes::from_static(b"1.0")),
            ),
            ("ce_id".to_owned(), Some(Bytes::from_static(&[0xff, 0xfe]))),
            ("trace".to_owned(), None),
        ];
        let payload = Bytes::from_static(&[0, 159, 146, 150]);
        let record = Record {
            partition: 3,
            offset: 9,
            key: None,
            payload: Some(payload.clone()),
            headers,
        };
        let undecodable = record.decode(&topic()).unwrap_err();
        assert!(
            undecodable.reason.contains("ce_id"),
            "{}",
            undecodable.reason
        );
        assert_eq!(undecodable.payload, Some(payload));
        assert_eq!(undecodable.headers[1].1, [0xff, 0xfe][..]);
        assert_eq!(record.position(), "3@9");
    }

    #[test]
    fn a_redriven_record_is_for_one_subscription() {
        let mut record = Record::of(&event());
        assert!(!record.is_for_another("billing"));
        record.headers.push((
            REDRIVEN_FOR.to_owned(),
            Some(Bytes::from_static(b"billing")),
        ));
        assert!(!record.is_for_another("billing") && record.is_for_another("shipping"));
    }
}
