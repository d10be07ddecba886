//! An event as an AMQP message, and the other way round: the CloudEvents AMQP binding over AMQP 0-9-1 headers.

use std::borrow::Cow;

use bytes::Bytes;
use commerce_contracts::CloudEvent;
use commerce_contracts::binding;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::headers::{self, bytes_of, long, text};
use super::trail::is_trail;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::headers::quoted;
use crate::message::{Message, Undecodable};
use crate::name::TopicName;

const WRITTEN: &str = "cloudEvents:";
/// Clients that cannot write a colon write an underscore.
const READ: [&str; 2] = [WRITTEN, "cloudEvents_"];

/// AMQP has no null body: this header tells no data from empty data.
const NO_DATA: &str = "commerce-no-data";

/// What attributes and headers may come to: AMQP has them in one frame, of 128 KiB as brokers are set up, and what happens
/// to a message later is added to them.
const HEADERS_AT_MOST: usize = 60 * 1024;

/// The attribute of the ordering key.
const KEY: &str = "partitionkey";

const PERSISTENT: u8 = 2;

/// The properties and body of a message.
pub(super) fn encode(message: &Message) -> Result<(BasicProperties, Bytes), Error> {
    message.ensure_comes_back()?;
    let event = &message.event;
    let mut headers = FieldTable::default();
    headers::write(&message.headers, &mut headers)?;
    for (name, value) in binding::to_headers(event, WRITTEN) {
        headers.insert(short("an attribute's name", name)?, long(value));
    }
    if event.data().is_none() {
        headers.insert(ShortString::from(NO_DATA), AMQPValue::Boolean(true));
    }
    let size = headers::size(&headers);
    if size > HEADERS_AT_MOST {
        let problem = format!(
            "its attributes and headers are {size} bytes, and RabbitMQ takes {HEADERS_AT_MOST}: put more into the data"
        );
        return Err(Error::new(ErrorKind::Message, "publish", problem));
    }
    let mut properties = BasicProperties::default()
        .with_headers(headers)
        .with_delivery_mode(PERSISTENT);
    if let Some(content_type) = event.data_content_type() {
        properties =
            properties.with_content_type(short("the content type", content_type.to_owned())?);
    }
    // For who looks at queues. The attributes in the headers are what counts, so one too long for here is left out.
    if let Ok(id) = ShortString::try_new(event.id()) {
        properties = properties.with_message_id(id);
    }
    if let Ok(kind) = ShortString::try_new(event.event_type()) {
        properties = properties.with_type(kind);
    }
    if let Some(seconds) = event
        .time()
        .and_then(|time| u64::try_from(time.timestamp()).ok())
    {
        properties = properties.with_timestamp(seconds);
    }
    Ok((properties, event.data().cloned().unwrap_or_default()))
}

fn short(what: &str, text: String) -> Result<ShortString, Error> {
    ShortString::try_new(text).map_err(|error| {
        let problem = format!("{what} is longer than the 255 bytes that AMQP takes");
        Error::new(ErrorKind::Message, "publish", problem).with_source(error)
    })
}

/// The event in a message, in binary or structured mode, and what travels beside it.
pub(crate) fn decode(
    topic: &TopicName,
    properties: &BasicProperties,
    body: &Bytes,
) -> Result<Message, Undecodable> {
    match event(properties, body) {
        Ok(event) => {
            let mut message = Message::new(topic.clone(), event);
            if let Some(table) = properties.headers() {
                message.headers = headers::read(table, is_attribute);
            }
            Ok(message)
        }
        Err(reason) => Err(Undecodable::new(reason, Some(body.clone()))
            .with_key(attribute(properties, KEY).map(bytes_of))
            .with_headers(plain_headers(properties))),
    }
}

/// Whether a subscription wants the message, told by its headers: only what they do not tell is decoded.
pub(super) fn is_wanted(filter: &Filter, properties: &BasicProperties, body: &Bytes) -> bool {
    if filter.is_empty() {
        return true;
    }
    let content_type = content_type(properties);
    // A time is written in more than one way; whether an empty attribute counts as unset, the event knows.
    let is_unclear = |name: &str| {
        name == "time"
            || attribute(properties, name)
                .and_then(text)
                .is_some_and(|text| text.is_empty())
    };
    let mut conditions = filter.conditions().iter();
    if content_type.is_some_and(binding::is_structured)
        || conditions.any(|condition| is_unclear(&condition.attribute))
    {
        return event(properties, body).is_ok_and(|event| filter.matches(&event));
    }
    filter.matches_attributes(|name| match name {
        "datacontenttype" => content_type
            .filter(|content_type| !content_type.is_empty())
            .map(Cow::Borrowed)
            .or_else(|| attribute(properties, name).and_then(text).map(Cow::Owned)),
        name => attribute(properties, name).and_then(text).map(Cow::Owned),
    })
}

fn content_type(properties: &BasicProperties) -> Option<&str> {
    properties.content_type().as_ref().map(ShortString::as_str)
}

fn is_attribute(header: &str) -> bool {
    READ.iter().any(|prefix| header.starts_with(prefix))
}

fn attribute<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    let headers = properties.headers().as_ref()?.inner();
    READ.iter()
        .find_map(|prefix| headers.get(format!("{prefix}{name}").as_str()))
}

fn event(properties: &BasicProperties, body: &Bytes) -> Result<CloudEvent, String> {
    let content_type = content_type(properties);
    if content_type.is_some_and(binding::is_structured) {
        return CloudEvent::from_json(body).map_err(|error| error.to_string());
    }
    let mut attributes = Vec::new();
    let mut no_data = false;
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        let name = name.as_str();
        if name == NO_DATA {
            no_data = *value == AMQPValue::Boolean(true);
        } else if is_attribute(name) {
            attributes.push((
                name,
                text(value).ok_or_else(|| format!("header {} is not text", quoted(name)))?,
            ));
        }
    }
    let data = (!no_data).then(|| body.clone());
    let attributes = attributes
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    binding::from_headers(&READ, attributes, content_type, data).map_err(|error| error.to_string())
}

/// All headers that the message was published with.
fn plain_headers(properties: &BasicProperties) -> Vec<(String, Bytes)> {
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    headers
        .filter(|(name, _)| !is_trail(name.as_str()))
        .map(|(name, value)| (name.to_string(), bytes_of(value)))
        .collect()
}

/// The same properties with other headers, persistent, and without what belonged to the first publish only: a time to
/// live would run again, and the broker checks the user against the connection.
pub(super) fn republished(properties: &BasicProperties, headers: FieldTable) -> BasicProperties {
    type Set<T> = fn(BasicProperties, T) -> BasicProperties;
    let mut copy = BasicProperties::default()
        .with_headers(headers)
        .with_delivery_mode(PERSISTENT);
    let texts: [(&Option<ShortString>, Set<ShortString>); 7] = [
        (
            properties.content_type(),
            BasicProperties::with_content_type,
        ),
        (
            properties.content_encoding(),
            BasicProperties::with_content_encoding,
        ),
        (
            properties.correlation_id(),
            BasicProperties::with_correlation_id,
        ),
        (properties.reply_to(), BasicProperties::with_reply_to),
        (properties.message_id(), BasicProperties::with_message_id),
        (properties.kind(), BasicProperties::with_type),
        (properties.app_id(), BasicProperties::with_app_id),
    ];
    for (value, set) in texts {
        if let Some(value) = value {
            copy = set(copy, value.clone());
        }
    }
    if let Some(priority) = properties.priority() {
        copy = copy.with_priority(*priority);
    }
    if let Some(timestamp) = properties.timestamp() {
        copy = copy.with_timestamp(*timestamp);
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use lapin::types::LongString;

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
        let with_data = event().with_data("application/json", &b"{}"[..]).unwrap();
        let empty = event()
            .with_data("application/octet-stream", Bytes::new())
            .unwrap();
        for event in [with_data, empty, event()] {
            let message = Message::new(topic(), event)
                .with_header("z", vec![0xff, 0])
                .and_then(|message| message.with_header("no-data", ""))
                .and_then(|message| message.with_header("z", "second"))
                .unwrap();
            let (properties, body) = encode(&message).unwrap();
            assert_eq!(*properties.delivery_mode(), Some(2));
            assert_eq!(decode(&topic(), &properties, &body).unwrap(), message);
        }
    }

    #[test]
    fn headers_that_fit_no_frame_are_refused() {
        let heavy = |bytes: usize| {
            Message::new(topic(), event())
                .with_header("heavy", vec![b'x'; bytes])
                .and_then(|message| encode(&message))
        };
        assert!(heavy(HEADERS_AT_MOST - 1024).is_ok());
        let error = heavy(HEADERS_AT_MOST).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Message);
        assert!(!error.is_retryable(), "{error}");
    }

    #[test]
    fn underscores_and_other_types_are_read() {
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "/s"),
            ("type", "t"),
        ] {
            let name = ShortString::from(format!("cloudEvents_{name}"));
            headers.insert(name, AMQPValue::LongString(LongString::from(value)));
        }
        headers.insert(
            ShortString::from("cloudEvents_count"),
            AMQPValue::LongInt(7),
        );
        headers.insert(
            ShortString::from("cloudEvents_time"),
            AMQPValue::Timestamp(0),
        );
        let properties = BasicProperties::default().with_headers(headers);
        let event = decode(&topic(), &properties, &Bytes::from_static(b"x"))
            .unwrap()
            .event;
        assert_eq!(
            event.extension("count").and_then(|value| value.as_str()),
            Some("7")
        );
        assert_eq!(event.time(), Some(DateTime::UNIX_EPOCH));
    }

    #[test]
    fn structured_mode_is_read() {
        let event = event()
            .with_data("application/json", &b"{\"a\":1}"[..])
            .unwrap();
        let properties =
            BasicProperties::default().with_content_type("application/cloudevents+json".into());
        let read = decode(&topic(), &properties, &Bytes::from(event.to_json()))
            .unwrap()
            .event;
        assert_eq!(
            (read.id(), read.key(), read.data()),
            (event.id(), Some("k1"), event.data())
        );
    }

    #[test]
    fn what_is_no_event_is_kept_byte_for_byte() {
        let mut headers = FieldTable::default();
        let id = LongString::from(vec![0xff, 0xfe]);
        headers.insert(
            ShortString::from("cloudEvents:id"),
            AMQPValue::LongString(id),
        );
        let key = LongString::from(vec![0x6b, 0xfe]);
        headers.insert(
            ShortString::from("cloudEvents_partitionkey"),
            AMQPValue::LongString(key),
        );
        let body = Bytes::from_static(&[0, 159, 146, 150]);
        let undecodable = decode(
            &topic(),
            &BasicProperties::default().with_headers(headers),
            &body,
        )
        .unwrap_err();
        assert!(
            undecodable.reason.contains("cloudEvents:id"),
            "{}",
            undecodable.reason
        );
        assert_eq!(undecodable.payload, Some(body));
        assert_eq!(undecodable.headers[0].1, [0xff, 0xfe][..]);
        assert_eq!(undecodable.key.as_deref(), Some(&[0x6b, 0xfe][..]));
    }

    #[test]
    fn the_filter_reads_headers_as_it_reads_events() {
        let event = event()
            .with_data("text/plain", &b"1"[..])
            .and_then(|event| event.with_extension("tenant", "acme"))
            .and_then(|event| event.with_extension("urgent", true))
            .unwrap();
        let written = event
            .time()
            .map(|time| commerce_contracts::Attribute::from(time).to_string());
        let (binary, body) = encode(&Message::new(topic(), event.clone())).unwrap();
        let structured =
            BasicProperties::default().with_content_type("application/cloudevents+json".into());
        let json = Bytes::from(event.to_json());
        let all = Filter::new();
        for filter in [
            all.clone(),
            all.clone().equals("type", event.event_type()),
            all.clone().equals("type", "another"),
            all.clone().equals("urgent", "true"),
            all.clone().prefix("tenant", "ac"),
            all.clone().exists("subject"),
            all.clone().equals("datacontenttype", "text/plain"),
            all.clone().any_of("partitionkey", ["k0", "k1"]),
            all.clone().equals("specversion", "1.0"),
            all.exists("time")
                .equals("time", written.unwrap_or_default()),
        ] {
            let wanted = filter.matches(&event);
            assert_eq!(is_wanted(&filter, &binary, &body), wanted, "{filter:?}");
            assert_eq!(is_wanted(&filter, &structured, &json), wanted, "{filter:?}");
        }
        // What is no event has no attributes.
        let none = BasicProperties::default();
        assert!(is_wanted(&Filter::new(), &none, &body));
        assert!(!is_wanted(&Filter::new().exists("id"), &none, &body));
    }

    #[test]
    fn what_is_published_again_does_not_expire() {
        let first = BasicProperties::default()
            .with_expiration("1000".into())
            .with_user_id("somebody".into())
            .with_message_id("m".into())
            .with_priority(3);
        let again = republished(&first, FieldTable::default());
        assert_eq!((again.expiration(), again.user_id()), (&None, &None));
        assert_eq!(
            (again.message_id(), again.priority()),
            (first.message_id(), first.priority())
        );
    }
}
