//! A message as SQS and SNS carry it: text, and a few attributes. Nothing here does I/O.
//!
//! The body is the event in structured mode (CloudEvents JSON). Three things do not fit into it and are attributes:
//! headers, data whose base64 would make the message too large, and what this bus knows of a message's past.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use commerce_contracts::CloudEvent;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::history::RESERVE;
use super::names::is_keyless;
use crate::error::{Error, ErrorKind};
use crate::headers::{Headers, quoted};
use crate::message::{Message, Undecodable};
use crate::name::TopicName;

/// The headers: a list of names and base64 values in JSON.
const HEADERS: &str = "commerce-headers";
/// The data as it is, where the body has none of it.
const DATA: &str = "commerce-data";
/// What this bus knows of the message's past.
pub(super) const HISTORY: &str = "commerce-history";
/// When and where a message is due.
pub(super) const DUE: &str = "commerce-due";
/// All attributes of a message that has no room for one more.
const PACKED: &str = "commerce-attributes";
/// What is no header of the message.
const OURS: [&str; 4] = [HEADERS, DATA, HISTORY, DUE];
/// SQS takes no more attributes.
const MOST_ATTRIBUTES: usize = 10;

/// A message as SQS and SNS carry it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) body: String,
    pub(crate) attributes: BTreeMap<String, Value>,
}

/// The value of an attribute, with its type as it was told: `String`, `Number`, `Binary`, or one of these with a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text { kind: String, text: String },
    Binary { kind: String, bytes: Bytes },
}

impl Value {
    pub(super) fn text(text: String) -> Self {
        let kind = "String".to_owned();
        Self::Text { kind, text }
    }

    pub(super) fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary {
            kind: "Binary".to_owned(),
            bytes: bytes.into(),
        }
    }

    fn bytes(&self) -> Bytes {
        match self {
            Self::Text { text, .. } => Bytes::copy_from_slice(text.as_bytes()),
            Self::Binary { bytes, .. } => bytes.clone(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Text { kind, text } => kind.len() + text.len(),
            Self::Binary { kind, bytes } => kind.len() + bytes.len(),
        }
    }
}

impl Wire {
    /// What the message counts against the limits of SQS and SNS.
    pub(super) fn size(&self) -> usize {
        let attributes = self.attributes.iter();
        let attributes: usize = attributes
            .map(|(name, value)| name.len() + value.size())
            .sum();
        self.body.len() + attributes
    }

    /// The text of an attribute.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Value::Text { text, .. }) => Some(text),
            _ => None,
        }
    }

    /// The same message with one more attribute; when there is no room for it, the others become one.
    pub(super) fn with(&self, name: &str, text: String) -> Self {
        let mut wire = self.without(name);
        if wire.attributes.len() >= MOST_ATTRIBUTES {
            let packed = pack(&wire.attributes);
            wire.attributes = BTreeMap::from([(PACKED.to_owned(), Value::binary(packed))]);
        }
        wire.attributes.insert(name.to_owned(), Value::text(text));
        wire
    }

    /// The same message without an attribute.
    pub(super) fn without(&self, name: &str) -> Self {
        let mut wire = self.clone();
        wire.attributes.remove(name);
        wire
    }

    /// The attributes as they were before they became one.
    fn unpacked(mut self) -> Result<Self, String> {
        let Some(packed) = self.attributes.remove(PACKED) else {
            return Ok(self);
        };
        let packed = serde_json::from_slice(&packed.bytes()).map_err(|error| error.to_string())?;
        self.attributes.extend(attributes_of(&packed)?);
        Ok(self)
    }
}

/// The message as it is sent; one that no queue takes is refused. `limit` counts what may be added when it is rejected.
pub(super) fn encode(message: &Message, limit: usize) -> Result<Wire, Error> {
    message.ensure_comes_back()?;
    let event = &message.event;
    let body = String::from_utf8(event.to_json())
        .map_err(|error| unfit(format!("the event is not UTF-8 in JSON: {error}")))?;
    let mut wire = Wire::default();
    if !message.headers.is_empty() {
        let headers: Vec<(&str, String)> = message
            .headers
            .iter()
            .map(|(name, value)| (name, STANDARD.encode(value)))
            .collect();
        // In an attribute, too, these have no place unescaped; names that came from elsewhere may hold them.
        let headers = serde_json::json!(headers).to_string();
        let headers = headers
            .replace('\u{fffe}', "\\ufffe")
            .replace('\u{ffff}', "\\uffff");
        wire.attributes
            .insert(HEADERS.to_owned(), Value::text(headers));
    }
    wire.body = match event.data() {
        // JSON has an escape for these, but data that is JSON would no longer be the same bytes.
        Some(data) if body.contains(['\u{fffe}', '\u{ffff}']) => {
            with_data(&without_data(&body)?, data)
        }
        _ => body,
    };
    let limit = limit.saturating_sub(RESERVE);
    if wire.size() > limit
        && let Some(data) = event.data()
    {
        let body = without_data(&wire.body)?;
        let as_it_is = Value::binary(data.clone());
        // An attribute must not be empty; empty data is not what makes a message large.
        if body.len() + DATA.len() + as_it_is.size() < wire.body.len() && !data.is_empty() {
            wire.attributes.insert(DATA.to_owned(), as_it_is);
            wire.body = body;
        }
    }
    if wire.size() > limit {
        let problem = format!(
            "it has {} bytes as SQS counts, and {limit} are allowed; keep what is large elsewhere and publish its place, \
             or raise max_message where every queue and topic takes more",
            wire.size()
        );
        return Err(unfit(problem));
    }
    Ok(wire)
}

fn unfit(problem: String) -> Error {
    Error::new(ErrorKind::Message, "publish", problem)
}

/// The event's JSON without its data.
fn without_data(body: &str) -> Result<String, Error> {
    let members: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(body);
    let mut members = members.map_err(|error| unfit(format!("not an object: {error}")))?;
    members.remove("data");
    members.remove("data_base64");
    serde_json::to_string(&members).map_err(|error| unfit(error.to_string()))
}

/// The event's JSON with data.
fn with_data(body: &str, data: &[u8]) -> String {
    let data = STANDARD.encode(data);
    match body.trim_end().strip_suffix('}') {
        Some(open) if open.trim_end().ends_with('{') => {
            format!("{open}\"data_base64\":\"{data}\"}}")
        }
        Some(open) => format!("{open},\"data_base64\":\"{data}\"}}"),
        // Not an object: the parser will say so.
        None => body.to_owned(),
    }
}

/// Reads a message, raw or in the envelope of an SNS subscription without raw delivery. What is no event comes back as it
/// arrived.
pub(crate) fn decode(
    topic: &TopicName,
    wire: &Wire,
    group: Option<&str>,
) -> Result<Message, Undecodable> {
    decode_inner(topic, wire).map_err(|reason| undecodable(reason, wire, group))
}

fn decode_inner(topic: &TopicName, wire: &Wire) -> Result<Message, String> {
    let opened = open_envelope(&wire.body)?;
    let wire = opened.unwrap_or_else(|| wire.clone()).unpacked()?;
    let event = match wire.attributes.get(DATA) {
        Some(data) => CloudEvent::from_json(with_data(&wire.body, &data.bytes()).as_bytes()),
        None => CloudEvent::from_json(wire.body.as_bytes()),
    };
    let event = event.map_err(|error| error.to_string())?;
    let mut headers = match wire.attributes.get(HEADERS) {
        Some(headers) => read_headers(&headers.bytes())?,
        None => Vec::new(),
    };
    let foreign = wire.attributes.iter();
    let foreign = foreign.filter(|(name, _)| !OURS.contains(&name.as_str()));
    headers.extend(foreign.map(|(name, value)| (name.clone(), value.bytes())));
    let mut message = Message::new(topic.clone(), event);
    message.headers = Headers::from_iter(headers);
    Ok(message)
}

fn undecodable(reason: String, wire: &Wire, group: Option<&str>) -> Undecodable {
    let body = || Bytes::copy_from_slice(wire.body.as_bytes());
    let key = group.filter(|group| !is_keyless(group));
    let key = key.map(|group| Bytes::copy_from_slice(group.as_bytes()));
    // What SQS cannot carry in a body is in the attribute for it; the body is then a header as others are.
    let data = wire.attributes.get(DATA).map(Value::bytes);
    let beside = data.is_some().then(|| ("body".to_owned(), body()));
    let headers = wire.attributes.iter();
    let headers = headers.filter(|(name, _)| ![DATA, HISTORY, DUE].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.clone(), value.bytes()));
    Undecodable::new(reason, Some(data.unwrap_or_else(body)))
        .with_key(key)
        .with_headers(headers.chain(beside))
}

fn read_headers(json: &[u8]) -> Result<Vec<(String, Bytes)>, String> {
    let invalid = || format!("the attribute {HEADERS} is not a list of names and base64 values");
    let headers: Json = serde_json::from_slice(json).map_err(|_| invalid())?;
    let headers = headers.as_array().ok_or_else(invalid)?;
    let header = |header: &Json| {
        let [name, value] = header.as_array()?.as_slice() else {
            return None;
        };
        let value = STANDARD.decode(value.as_str()?).ok()?;
        Some((name.as_str()?.to_owned(), Bytes::from(value)))
    };
    headers
        .iter()
        .map(|it| header(it).ok_or_else(invalid))
        .collect()
}

/// What is in the JSON that SNS puts around a message where raw delivery is off; `None` where there is none around it.
pub(crate) fn open_envelope(body: &str) -> Result<Option<Wire>, String> {
    // A whole parse for every message that is none would be paid for nothing.
    if !body.contains("\"TopicArn\"") {
        return Ok(None);
    }
    let Ok(Json::Object(envelope)) = serde_json::from_str(body) else {
        return Ok(None);
    };
    let text = |name: &str| envelope.get(name).and_then(Json::as_str);
    if text("Type") != Some("Notification") || text("TopicArn").is_none() {
        return Ok(None);
    }
    let Some(message) = text("Message") else {
        return Err("the notification of SNS has no message".to_owned());
    };
    let attributes = match envelope.get("MessageAttributes") {
        Some(attributes) => attributes_of(attributes)?,
        None => BTreeMap::new(),
    };
    Ok(Some(Wire {
        body: message.to_owned(),
        attributes,
    }))
}

/// Attributes as SNS writes them into its envelope.
fn attributes_of(json: &Json) -> Result<BTreeMap<String, Value>, String> {
    let invalid = |name: &str| format!("the attribute {} has no type and value", quoted(name));
    let attributes = json.as_object().ok_or("the attributes are not an object")?;
    let value = |(name, attribute): (&String, &Json)| {
        let text = |member: &str| attribute.get(member).and_then(Json::as_str);
        let (Some(kind), Some(value)) = (text("Type"), text("Value")) else {
            return Err(invalid(name));
        };
        let (kind, text) = (kind.to_owned(), value.to_owned());
        let value = if kind.starts_with("Binary") {
            let bytes = STANDARD.decode(text).map_err(|_| invalid(name))?;
            let bytes = Bytes::from(bytes);
            Value::Binary { kind, bytes }
        } else {
            Value::Text { kind, text }
        };
        Ok((name.clone(), value))
    };
    attributes.iter().map(value).collect()
}

fn pack(attributes: &BTreeMap<String, Value>) -> String {
    let value = |(name, value): (&String, &Value)| {
        let (kind, text) = match value {
            Value::Text { kind, text } => (kind, text.clone()),
            Value::Binary { kind, bytes } => (kind, STANDARD.encode(bytes)),
        };
        (
            name.clone(),
            serde_json::json!({"Type": kind, "Value": text}),
        )
    };
    let packed: serde_json::Map<String, Json> = attributes.iter().map(value).collect();
    Json::Object(packed).to_string()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
