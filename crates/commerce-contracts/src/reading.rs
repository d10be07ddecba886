//! Puts an event together from attributes that somebody else wrote. JSON and headers share these rules.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::attribute::{self, Attribute, EnvelopeError};
use crate::cloud_event::CloudEvent;

/// The value of an attribute as it was found; text stays where it is until the event needs it.
pub(crate) enum Found<'a> {
    Boolean(bool),
    Integer(i32),
    Text(Cow<'a, str>),
}

impl<'a> From<&'a str> for Found<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<Found<'_>> for Attribute {
    fn from(found: Found<'_>) -> Self {
        match found {
            Found::Boolean(value) => Self::Boolean(value),
            Found::Integer(value) => Self::Integer(value),
            Found::Text(text) => Self::String(text.into_owned()),
        }
    }
}

/// The attributes seen so far.
#[derive(Default)]
pub(crate) struct Reading<'a> {
    spec_version: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    source: Option<Cow<'a, str>>,
    event_type: Option<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
    time: Option<Cow<'a, str>>,
    data_content_type: Option<Cow<'a, str>>,
    data_schema: Option<Cow<'a, str>>,
    extensions: BTreeMap<Cow<'static, str>, Attribute>,
    /// Whether one of [`TEXT_EXTENSIONS`](attribute::TEXT_EXTENSIONS) is empty.
    has_empty_extension: bool,
}

impl<'a> Reading<'a> {
    /// Takes one attribute. The same one twice is an error unless both say the same.
    pub(crate) fn take(&mut self, name: &str, value: Found<'a>) -> Result<(), EnvelopeError> {
        if let Found::Text(text) = &value {
            attribute::check_text(name, text)?;
        }
        let slot = match name {
            "specversion" => &mut self.spec_version,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.event_type,
            "subject" => &mut self.subject,
            "time" => &mut self.time,
            "datacontenttype" => &mut self.data_content_type,
            "dataschema" => &mut self.data_schema,
            _ => return self.take_extension(name, value),
        };
        let Found::Text(text) = value else {
            return Err(EnvelopeError::invalid(name, "is not text"));
        };
        if slot.as_ref().is_some_and(|known| *known != text) {
            return Err(EnvelopeError::duplicate(name));
        }
        *slot = Some(text);
        Ok(())
    }

    fn take_extension(&mut self, name: &str, value: Found<'a>) -> Result<(), EnvelopeError> {
        let mut value = Attribute::from(value);
        let name = if let Some(known) = attribute::text_extension(name) {
            // Some producers write a number where the specification says text.
            if value.as_str().is_none() {
                value = Attribute::String(value.to_string());
            }
            self.has_empty_extension |= value.as_str() == Some("");
            Cow::Borrowed(known)
        } else {
            attribute::check_extension_name(name)?;
            Cow::Owned(name.to_owned())
        };
        match self.extensions.entry(name) {
            Entry::Occupied(known) if *known.get() != value => {
                return Err(EnvelopeError::duplicate(known.key()));
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => {
                place.insert(value);
            }
        }
        Ok(())
    }

    /// The media type of the data, where an attribute says it.
    pub(crate) fn data_content_type(&self) -> Option<&str> {
        let said = self.data_content_type.as_deref();
        said.filter(|text| !text.is_empty())
    }

    /// The event. Required attributes are required; an empty optional one counts as unset; unknown extensions are kept.
    pub(crate) fn finish(
        mut self,
        data_content_type: Option<String>,
        data: Option<Bytes>,
    ) -> Result<CloudEvent, EnvelopeError> {
        let version = self.spec_version.ok_or(EnvelopeError::Missing {
            attribute: "specversion",
        })?;
        if version != "1.0" {
            return Err(EnvelopeError::invalid(
                "specversion",
                "is not \"1.0\", the only version read here",
            ));
        }
        let id = required("id", self.id)?;
        let source = required("source", self.source)?;
        let event_type = required("type", self.event_type)?;
        let time = self
            .time
            .filter(|text| !text.is_empty())
            .map(|text| read_time(&text))
            .transpose()?;
        if self.has_empty_extension {
            // Of these, too, an empty one is none.
            self.extensions.retain(|name, value| {
                value.as_str() != Some("") || attribute::text_extension(name).is_none()
            });
        }
        Ok(CloudEvent {
            id,
            source,
            event_type,
            subject: optional(self.subject),
            time,
            data_content_type: data_content_type.or_else(|| optional(self.data_content_type)),
            data_schema: optional(self.data_schema),
            extensions: self.extensions,
            data,
        })
    }
}

fn required(attribute: &'static str, found: Option<Cow<'_, str>>) -> Result<String, EnvelopeError> {
    let text = found.ok_or(EnvelopeError::Missing { attribute })?;
    if text.is_empty() {
        return Err(EnvelopeError::invalid(attribute, "is empty"));
    }
    Ok(text.into_owned())
}

fn optional(found: Option<Cow<'_, str>>) -> Option<String> {
    found.filter(|text| !text.is_empty()).map(Cow::into_owned)
}

fn read_time(text: &str) -> Result<DateTime<Utc>, EnvelopeError> {
    attribute::read_timestamp(text).ok_or_else(|| {
        EnvelopeError::invalid("time", "is not a timestamp of four-digit years (RFC 3339)")
    })
}
