//! The envelope: one CloudEvents 1.0 event.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::attribute::{self, Attribute, EnvelopeError};
use crate::trace_context;

/// One event in its envelope (CloudEvents 1.0.2).
///
/// What is written is checked: every `with_…` that takes text refuses what the specification forbids. What is read is taken as
/// far as it has one meaning: see [`CloudEvent::from_json`] and [`binding::from_headers`](crate::binding::from_headers).
/// Cloning shares the data. `Debug` shows the length of the data and never the data, which may be somebody's.
#[derive(Clone, PartialEq)]
pub struct CloudEvent {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) event_type: String,
    pub(crate) subject: Option<String>,
    pub(crate) time: Option<DateTime<Utc>>,
    pub(crate) data_content_type: Option<String>,
    pub(crate) data_schema: Option<String>,
    pub(crate) extensions: BTreeMap<Cow<'static, str>, Attribute>,
    pub(crate) data: Option<Bytes>,
}

impl CloudEvent {
    /// An event without data. Its id is a new UUID version 7, so ids sort by the time of their making.
    pub fn new(
        source: impl Into<String>,
        event_type: impl Into<String>,
    ) -> Result<Self, EnvelopeError> {
        let (source, event_type) = (source.into(), event_type.into());
        attribute::check_uri_reference("source", &source)?;
        attribute::check_filled("type", &event_type)?;
        Ok(Self {
            id: Uuid::now_v7().to_string(),
            source,
            event_type,
            subject: None,
            time: None,
            data_content_type: None,
            data_schema: None,
            extensions: BTreeMap::new(),
            data: None,
        })
    }

    /// Identifies the event together with its source: the same pair is the same event, delivered again.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the event happened: a URI reference.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What happened: for an [`Event`](crate::Event), its `TYPE`.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// Whom or what it happened to, within the source.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// When it happened.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        self.time
    }

    /// The media type of the data.
    pub fn data_content_type(&self) -> Option<&str> {
        self.data_content_type.as_deref()
    }

    /// Identifies the schema of the data.
    pub fn data_schema(&self) -> Option<&str> {
        self.data_schema.as_deref()
    }

    /// The data as bytes. None (no data: a tombstone) and empty data differ.
    pub fn data(&self) -> Option<&Bytes> {
        self.data.as_ref()
    }

    /// The ordering key (extension `partitionkey`): events with the same key keep their order.
    pub fn key(&self) -> Option<&str> {
        self.text("partitionkey")
    }

    /// The business transaction that the event belongs to (extension `correlationid`).
    pub fn transaction_id(&self) -> Option<&str> {
        self.text("correlationid")
    }

    /// The id of the event or request that caused this one (extension `causationid`).
    pub fn causation_id(&self) -> Option<&str> {
        self.text("causationid")
    }

    /// The trace in which the event was made (W3C `traceparent`); None when its value does not have the form of one.
    pub fn trace_parent(&self) -> Option<&str> {
        self.text("traceparent")
            .filter(|text| trace_context::is_trace_parent(text))
    }

    /// What vendors add to the trace (W3C `tracestate`); None when its value does not have the form of it.
    pub fn trace_state(&self) -> Option<&str> {
        self.text("tracestate")
            .filter(|text| trace_context::is_trace_state(text))
    }

    /// The position of the event among those of its source (extension `sequence`): compared as text.
    pub fn sequence(&self) -> Option<&str> {
        self.text("sequence")
    }

    /// The position as a number, where it is one: see [`with_sequence_number`](Self::with_sequence_number).
    pub fn sequence_number(&self) -> Option<u64> {
        let text = self.sequence()?;
        // `parse` would also take a sign.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    }

    /// When the event is of no use any more (extension `expirytime`); None when its value is not a timestamp.
    pub fn expiry_time(&self) -> Option<DateTime<Utc>> {
        self.text("expirytime").and_then(attribute::read_timestamp)
    }

    /// Whether the event has an expiry time and it is not later than `now`.
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expiry_time().is_some_and(|expiry| expiry <= now)
    }

    /// Where the data is kept when it does not travel with the event (extension `dataref`, the claim check pattern). It comes
    /// from whoever sent the event: decide whether to trust it before it is followed.
    pub fn data_ref(&self) -> Option<&str> {
        self.text("dataref")
    }

    /// An extension by its name.
    pub fn extension(&self, name: &str) -> Option<&Attribute> {
        self.extensions.get(name)
    }

    /// Every extension, sorted by name, the known ones included.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.extensions.iter().map(|(name, value)| (&**name, value))
    }

    /// Replaces the id.
    pub fn with_id(mut self, id: impl Into<String>) -> Result<Self, EnvelopeError> {
        let id = id.into();
        attribute::check_filled("id", &id)?;
        self.id = id;
        Ok(self)
    }

    /// Replaces the source.
    pub fn with_source(mut self, source: impl Into<String>) -> Result<Self, EnvelopeError> {
        let source = source.into();
        attribute::check_uri_reference("source", &source)?;
        self.source = source;
        Ok(self)
    }

    /// Sets the subject.
    pub fn with_subject(mut self, subject: impl Into<String>) -> Result<Self, EnvelopeError> {
        let subject = subject.into();
        attribute::check_filled("subject", &subject)?;
        self.subject = Some(subject);
        Ok(self)
    }

    /// Sets the time.
    pub fn with_time(mut self, time: DateTime<Utc>) -> Result<Self, EnvelopeError> {
        attribute::check_time("time", time)?;
        self.time = Some(time);
        Ok(self)
    }

    /// Sets the data and its media type.
    pub fn with_data(
        mut self,
        content_type: impl Into<String>,
        data: impl Into<Bytes>,
    ) -> Result<Self, EnvelopeError> {
        let content_type = content_type.into();
        attribute::check_media_type("datacontenttype", &content_type)?;
        self.data_content_type = Some(content_type);
        self.data = Some(data.into());
        Ok(self)
    }

    /// Sets the identifier of the data's schema: an absolute URI.
    pub fn with_data_schema(mut self, schema: impl Into<String>) -> Result<Self, EnvelopeError> {
        let schema = schema.into();
        attribute::check_uri("dataschema", &schema)?;
        self.data_schema = Some(schema);
        Ok(self)
    }

    /// Sets the ordering key.
    pub fn with_key(self, key: impl Into<String>) -> Result<Self, EnvelopeError> {
        self.with_text("partitionkey", key.into())
    }

    /// Sets the business transaction.
    pub fn with_transaction_id(self, id: impl Into<String>) -> Result<Self, EnvelopeError> {
        self.with_text("correlationid", id.into())
    }

    /// Sets the cause: the id of an event or request.
    pub fn with_causation_id(self, id: impl Into<String>) -> Result<Self, EnvelopeError> {
        self.with_text("causationid", id.into())
    }

    /// Sets the trace (W3C `traceparent`).
    pub fn with_trace_parent(self, trace_parent: impl Into<String>) -> Result<Self, EnvelopeError> {
        self.with_text("traceparent", trace_parent.into())
    }

    /// Sets what vendors add to the trace (W3C `tracestate`).
    pub fn with_trace_state(self, trace_state: impl Into<String>) -> Result<Self, EnvelopeError> {
        self.with_text("tracestate", trace_state.into())
    }

    /// Sets the position among the events of the source. It is compared as text: pad numbers with zeros.
    pub fn with_sequence(self, sequence: impl Into<String>) -> Result<Self, EnvelopeError> {
        self.with_text("sequence", sequence.into())
    }

    /// Sets the position as a number, written with twenty digits: as text, too, 9 then comes before 10.
    pub fn with_sequence_number(self, sequence: u64) -> Result<Self, EnvelopeError> {
        self.with_text("sequence", format!("{sequence:020}"))
    }

    /// Sets when the event is of no use any more.
    pub fn with_expiry_time(self, time: DateTime<Utc>) -> Result<Self, EnvelopeError> {
        attribute::check_time("expirytime", time)?;
        self.with_text("expirytime", attribute::timestamp(time))
    }

    /// Sets where the data is kept: a URI reference.
    pub fn with_data_ref(self, reference: impl Into<String>) -> Result<Self, EnvelopeError> {
        self.with_text("dataref", reference.into())
    }

    /// Sets an extension. Names are lower-case letters and digits; CloudEvents advises 20 of them at most.
    pub fn with_extension(
        mut self,
        name: &str,
        value: impl Into<Attribute>,
    ) -> Result<Self, EnvelopeError> {
        let value = value.into();
        attribute::check_extension_name(name)?;
        let known = attribute::text_extension(name);
        if known.is_some() {
            let text = value
                .as_str()
                .ok_or_else(|| EnvelopeError::invalid(name, "is text"))?;
            attribute::check_filled(name, text)?;
        }
        if let Attribute::String(text) = &value {
            attribute::check_text(name, text)?;
        }
        if let Some(text) = value.as_str() {
            check_form(name, text)?;
        }
        let name = known.map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed);
        self.extensions.insert(name, value);
        Ok(self)
    }

    fn with_text(self, name: &'static str, text: String) -> Result<Self, EnvelopeError> {
        self.with_extension(name, text)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.extensions.get(name).and_then(Attribute::as_str)
    }
}

/// What their own specifications ask of extensions.
fn check_form(name: &str, text: &str) -> Result<(), EnvelopeError> {
    const TRACE: &str = "does not have the form of W3C Trace Context";
    let rule = |keeps: bool, rule| {
        keeps
            .then_some(())
            .ok_or_else(|| EnvelopeError::invalid(name, rule))
    };
    match name {
        "traceparent" => rule(trace_context::is_trace_parent(text), TRACE),
        "tracestate" => rule(trace_context::is_trace_state(text), TRACE),
        "expirytime" => rule(
            attribute::read_timestamp(text).is_some(),
            "is not a timestamp (RFC 3339)",
        ),
        "dataref" => attribute::check_uri_reference(name, text),
        _ => Ok(()),
    }
}

impl fmt::Debug for CloudEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CloudEvent")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("type", &self.event_type)
            .field("subject", &self.subject)
            .field("time", &self.time)
            .field("datacontenttype", &self.data_content_type)
            .field("dataschema", &self.data_schema)
            .field("extensions", &self.extensions)
            .field("data_bytes", &self.data.as_ref().map(Bytes::len))
            .finish()
    }
}
