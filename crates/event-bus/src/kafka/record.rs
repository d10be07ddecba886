//! An event as a Kafka record, and a record as an event: the CloudEvents Kafka binding.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use commerce_contracts::{Attribute, CloudEvent, binding};
use rdkafka::message::{BorrowedMessage, Header, Message as _, OwnedHeaders};

use crate::filter::Filter;
use crate::headers::{Headers, quoted};
use crate::message::{Message, Undecodable};
use crate::name::TopicName;

const PREFIX: &str = "ce_";
const CONTENT_TYPE: &str = "content-type";

/// What the headers of this crate itself begin with; [`Headers::add`] refuses such names.
const OURS: &str = "commerce-";
/// A message's header whose name means something here travels under this and its name.
const ESCAPED: &str = "commerce-header-";
/// Names the only subscription that a redriven record is for. The others of the topic pass over it.
pub(super) const REDRIVEN_FOR: &str = "commerce-redriven-for";
/// Where and when a record is to be delivered that waits for its time.
const DELAYED: &str = "commerce-delayed-";
/// What is known of a dead letter's end.
const DEAD_LETTER: &str = "commerce-dead-letter-";

/// A record, copied out of the client's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: Option<Bytes>,
    /// `None` is a null value: a tombstone. Empty is empty.
    pub(super) payload: Option<Bytes>,
    /// In order; names may repeat and values may be null.
    pub(super) headers: Vec<RecordHeader>,
    /// The record's timestamp in milliseconds of the epoch.
    pub(super) timestamp: Option<i64>,
}

pub(super) type RecordHeader = (String, Option<Bytes>);

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
            timestamp: message.timestamp().to_millis(),
        }
    }

    /// A record for the producer: where it lands is decided there.
    pub(super) fn of(message: &Message) -> Self {
        let event = &message.event;
        let mut headers: Vec<RecordHeader> = message
            .headers
            .iter()
            .map(|(name, value)| (escaped(name), Some(value.clone())))
            .collect();
        let attributes = binding::to_headers(event, PREFIX).into_iter();
        headers.extend(attributes.map(|(name, value)| (name, Some(Bytes::from(value)))));
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
            timestamp: None,
        }
    }

    /// The record without the headers that tell its way through this crate.
    pub(super) fn original(&self) -> Self {
        Self {
            headers: self
                .headers
                .iter()
                .filter(|(name, _)| !is_internal(name))
                .cloned()
                .collect(),
            ..self.clone()
        }
    }

    /// The same record with a header more.
    pub(super) fn with(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), Some(value.into())));
        self
    }

    /// When the record was written, by its timestamp.
    pub(super) fn written_at(&self) -> Option<DateTime<Utc>> {
        self.timestamp.and_then(DateTime::from_timestamp_millis)
    }

    /// What it weighs against bounds in bytes.
    pub(super) fn size(&self) -> usize {
        let of = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + of(value))
            .sum();
        of(&self.key) + of(&self.payload) + headers
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

    /// The values of a header as text, in order.
    pub(super) fn headers_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        self.headers
            .iter()
            .filter(move |(header, _)| header == name)
            .filter_map(|(_, value)| Some(String::from_utf8_lossy(value.as_deref()?)))
    }

    /// Whether a filter wants the record. Binary mode is judged by its headers, without decoding the event; what is no
    /// event passes the empty filter only.
    pub(super) fn is_wanted(&self, filter: &Filter) -> bool {
        if filter.is_empty() {
            return true;
        }
        // Whether an empty one counts as unset, the event knows.
        let is_empty = |name: &str| self.attribute(name).is_some_and(str::is_empty);
        let mut conditions = filter.conditions().iter();
        if self.is_structured() || conditions.any(|condition| is_empty(&condition.attribute)) {
            return self.event().is_ok_and(|event| filter.matches(&event));
        }
        filter.matches_attributes(|name| match name {
            "datacontenttype" => self
                .header(CONTENT_TYPE)
                .filter(|media_type| !media_type.is_empty())
                .or_else(|| self.attribute(name))
                .map(Cow::Borrowed),
            "partitionkey" => {
                let key = || std::str::from_utf8(self.key.as_deref()?).ok();
                self.attribute(name)
                    .or_else(key)
                    .filter(|key| !key.is_empty())
                    .map(Cow::Borrowed)
            }
            // In its canonical form, whichever one it came in.
            "time" => DateTime::parse_from_rfc3339(self.attribute(name)?)
                .ok()
                .map(|time| Attribute::from(time.with_timezone(&Utc)).to_string().into()),
            name => self.attribute(name).map(Cow::Borrowed),
        })
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(header, _)| header.strip_prefix(PREFIX) == Some(name))?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The event in the record, in binary or structured mode.
    pub(super) fn decode(&self, topic: &TopicName) -> Result<Message, Undecodable> {
        match self.event() {
            Ok(event) => {
                let mut message = Message::new(topic.clone(), event);
                message.headers = self.message_headers();
                Ok(message)
            }
            Err(reason) => Err(Undecodable::new(reason, self.payload.clone())
                .with_key(self.key.clone())
                .with_headers(self.plain_headers())),
        }
    }

    fn is_structured(&self) -> bool {
        self.header(CONTENT_TYPE)
            .is_some_and(binding::is_structured)
    }

    fn event(&self) -> Result<CloudEvent, String> {
        let content_type = self.header(CONTENT_TYPE);
        let event = if self.is_structured() {
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
                    .ok_or_else(|| format!("header {} is null", quoted(name)))?;
                let value = std::str::from_utf8(value)
                    .map_err(|_| format!("header {} is not UTF-8", quoted(name)))?;
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

    /// What travels beside the event, foreign headers included.
    fn message_headers(&self) -> Headers {
        let beside = self.headers.iter().filter(|(name, _)| {
            !name.starts_with(PREFIX)
                && !name.eq_ignore_ascii_case(CONTENT_TYPE)
                && !is_internal(name)
        });
        beside
            .map(|(name, value)| {
                let name = name.strip_prefix(ESCAPED).unwrap_or(name);
                (name.to_owned(), value.clone().unwrap_or_default())
            })
            .collect()
    }

    fn plain_headers(&self) -> Vec<(String, Bytes)> {
        self.headers
            .iter()
            .filter(|(name, _)| !is_internal(name))
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

/// A message's header keeps its name unless reading it back would take it for something else.
fn escaped(name: &str) -> String {
    if name.starts_with(PREFIX) || name.starts_with(OURS) || name.eq_ignore_ascii_case(CONTENT_TYPE)
    {
        format!("{ESCAPED}{name}")
    } else {
        name.to_owned()
    }
}

/// Headers that neither the publisher wrote nor a consumer is told of.
fn is_internal(name: &str) -> bool {
    name == REDRIVEN_FOR || name.starts_with(DEAD_LETTER) || name.starts_with(DELAYED)
}

fn copy_header(header: &Header<'_, &[u8]>) -> RecordHeader {
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
    use proptest::prelude::*;

    fn topic() -> TopicName {
        TopicName::new("orders").unwrap()
    }

    fn event() -> CloudEvent {
        CloudEvent::new("/orders", "orders.order.created.v1")
            .unwrap()
            .with_key("k1")
            .unwrap()
    }

    fn record_of(event: &CloudEvent) -> Record {
        Record::of(&Message::new(topic(), event.clone()))
    }

    fn structured(event: &CloudEvent) -> Record {
        Record {
            partition: 0,
            offset: 0,
            key: None,
            payload: Some(Bytes::from(event.to_json())),
            headers: vec![(
                "Content-Type".to_owned(),
                Some(Bytes::from_static(b"application/cloudevents+json")),
            )],
            timestamp: None,
        }
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
            let record = record_of(&event);
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
        let record = structured(&event);
        let read = record.decode(&topic()).unwrap().event;
        assert_eq!(
            (read.id(), read.key(), read.data()),
            (event.id(), Some("k1"), event.data())
        );
    }

    #[test]
    fn a_key_that_only_kafka_carries_becomes_the_events_key() {
        let mut record = record_of(&event());
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
            key: Some(Bytes::from_static(&[0xff])),
            payload: Some(payload.clone()),
            headers,
            timestamp: None,
        };
        let undecodable = record.decode(&topic()).unwrap_err();
        assert!(
            undecodable.reason.contains("ce_id"),
            "{}",
            undecodable.reason
        );
        assert_eq!(undecodable.payload, Some(payload));
        assert_eq!(undecodable.key.as_deref(), Some(&[0xff][..]));
        assert_eq!(undecodable.headers[1].1, [0xff, 0xfe][..]);
        assert_eq!(record.position(), "3@9");
    }

    #[test]
    fn a_redriven_record_is_for_one_subscription() {
        let mut record = record_of(&event());
        assert!(!record.is_for_another("billing"));
        record.headers.push((
            REDRIVEN_FOR.to_owned(),
            Some(Bytes::from_static(b"billing")),
        ));
        assert!(!record.is_for_another("billing") && record.is_for_another("shipping"));
    }

    #[test]
    fn foreign_headers_stay_and_ours_do_not_show() {
        let mut record = record_of(&event());
        for (name, value) in [
            ("X-Trace", Some(&[0xff, 0][..])),
            ("commerce-else", Some(b"kept")),
            ("null", None),
            (REDRIVEN_FOR, Some(b"billing")),
            ("commerce-dead-letter-reason", Some(b"no")),
        ] {
            record
                .headers
                .push((name.to_owned(), value.map(Bytes::from_static)));
        }
        let message = record.decode(&topic()).unwrap();
        let read: Vec<_> = message.headers.iter().collect();
        assert_eq!(
            read,
            [
                ("X-Trace", &Bytes::from_static(&[0xff, 0])),
                ("commerce-else", &Bytes::from_static(b"kept")),
                ("null", &Bytes::new()),
            ]
        );
    }

    #[test]
    fn a_filter_judges_headers_as_it_judges_the_event() {
        let event = event()
            .with_subject("br/7")
            .and_then(|event| event.with_time(DateTime::UNIX_EPOCH))
            .and_then(|event| event.with_data("application/json", &b"{}"[..]))
            .and_then(|event| event.with_extension("tenant", "acme"))
            .unwrap();
        let time = Attribute::from(event.time().unwrap()).to_string();
        let all = Filter::new();
        let filters = [
            all.clone(),
            all.clone().equals("type", "orders.order.created.v1"),
            all.clone().equals("type", "orders.order"),
            all.clone().equals("specversion", "1.0"),
            all.clone().prefix("subject", "br/"),
            all.clone().prefix("subject", "pt/"),
            all.clone().equals("datacontenttype", "application/json"),
            all.clone().equals("partitionkey", "k1"),
            all.clone().equals("time", time),
            all.clone().any_of("tenant", ["other", "acme"]),
            all.clone().exists("tenant").exists("missing"),
        ];
        let mut only_in_kafka = record_of(&event);
        only_in_kafka
            .headers
            .retain(|(name, _)| name != "ce_partitionkey");
        for filter in filters {
            let wanted = filter.matches(&event);
            assert_eq!(record_of(&event).is_wanted(&filter), wanted, "{filter:?}");
            assert_eq!(structured(&event).is_wanted(&filter), wanted, "{filter:?}");
            assert_eq!(only_in_kafka.is_wanted(&filter), wanted, "{filter:?}");
        }
        let ten: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
        let elsewhere = all.clone().equals("time", Attribute::from(ten).to_string());
        let mut record = record_of(&event);
        record.headers.retain(|(name, _)| name != "ce_time");
        let record = record.with("ce_time", "2026-11-21T07:00:00.000-03:00");
        assert!(record.is_wanted(&elsewhere), "the same time");
        let no_event = Record {
            headers: Vec::new(),
            ..record
        };
        assert!(no_event.is_wanted(&all) && !no_event.is_wanted(&all.clone().exists("id")));
        let no_json = Record {
            payload: Some(Bytes::from_static(b"{")),
            ..structured(&event)
        };
        assert!(no_json.is_wanted(&all) && !no_json.is_wanted(&all.exists("id")));
    }

    proptest! {
        #[test]
        fn headers_come_back_as_they_went(
            headers in proptest::collection::vec(
                ("(ce_|commerce-|commerce-header-|commerce-redriven-for|content-type|Content-Type|x-)?[a-z._-]{0,8}", any::<Vec<u8>>()),
                0..8,
            ),
        ) {
            let headers: Headers = headers
                .into_iter()
                .map(|(name, value)| (name, Bytes::from(value)))
                .collect();
            let mut message = Message::new(topic(), event());
            message.headers = headers;
            prop_assert_eq!(Record::of(&message).decode(&topic()).unwrap(), message);
        }
    }
}
