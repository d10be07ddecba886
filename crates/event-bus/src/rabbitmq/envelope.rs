//! An event as an AMQP message, and the other way round: the CloudEvents AMQP binding over AMQP 0-9-1 headers.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use commerce_contracts::CloudEvent;
use commerce_contracts::binding;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use crate::error::{Error, ErrorKind};
use crate::message::{Message, Undecodable};
use crate::name::TopicName;

const WRITTEN: &str = "cloudEvents:";
/// Clients that cannot write a colon write an underscore.
const READ: [&str; 2] = [WRITTEN, "cloudEvents_"];

/// AMQP has no null body: this header tells no data from empty data.
const NO_DATA: &str = "no-data";

const PERSISTENT: u8 = 2;

/// The properties and body of an event.
pub(super) fn encode(event: &CloudEvent) -> Result<(BasicProperties, Bytes), Error> {
    let mut headers = FieldTable::default();
    for (name, value) in binding::to_headers(event, WRITTEN) {
        headers.insert(
            short("an attribute's name", name)?,
            AMQPValue::LongString(LongString::from(value)),
        );
    }
    if event.data().is_none() {
        headers.insert(ShortString::from(NO_DATA), AMQPValue::Boolean(true));
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

/// The event in a message, in binary or structured mode.
pub(super) fn decode(
    topic: &TopicName,
    properties: &BasicProperties,
    body: &Bytes,
) -> Result<Message, Undecodable> {
    event(properties, body)
        .map(|event| Message::new(topic.clone(), event))
        .map_err(|reason| {
            Undecodable::new(reason, Some(body.clone())).with_headers(plain_headers(properties))
        })
}

fn event(properties: &BasicProperties, body: &Bytes) -> Result<CloudEvent, String> {
    let content_type = properties.content_type().as_ref().map(ShortString::as_str);
    if content_type.is_some_and(binding::is_structured) {
        return CloudEvent::from_json(body).map_err(|error| error.to_string());
    }
    let mut attributes = Vec::new();
    let mut no_data = false;
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        let name = name.as_str();
        if name == NO_DATA {
            no_data = *value == AMQPValue::Boolean(true);
        } else if READ.iter().any(|prefix| name.starts_with(prefix)) {
            attributes.push((
                name,
                text(value).ok_or_else(|| format!("header {name:?} is not text"))?,
            ));
        }
    }
    let data = (!no_data).then(|| body.clone());
    let attributes = attributes
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    binding::from_headers(&READ, attributes, content_type, data).map_err(|error| error.to_string())
}

/// Other clients write attributes with the types that CloudEvents has.
fn text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.to_owned(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortShortUInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::ShortUInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongUInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        AMQPValue::Timestamp(seconds) => {
            let time = DateTime::from_timestamp(i64::try_from(*seconds).ok()?, 0)?;
            time.to_rfc3339_opts(SecondsFormat::Secs, true)
        }
        _ => return None,
    })
}

fn plain_headers(properties: &BasicProperties) -> Vec<(String, Bytes)> {
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    headers
        .map(|(name, value)| {
            let bytes = match value {
                AMQPValue::LongString(text) => Bytes::copy_from_slice(text.as_bytes()),
                AMQPValue::ByteArray(bytes) => Bytes::copy_from_slice(bytes.as_slice()),
                other => text(other).map_or_else(|| Bytes::from(format!("{other:?}")), Bytes::from),
            };
            (name.to_string(), bytes)
        })
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
            let (properties, body) = encode(&event).unwrap();
            assert_eq!(*properties.delivery_mode(), Some(2));
            assert_eq!(decode(&topic(), &properties, &body).unwrap().event, event);
        }
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
