//! Puts an event together from attributes that somebody else wrote. JSON and headers share these rules.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::attribute::{self, Attribute, EnvelopeError};
use crate::cloud_event::CloudEvent;

/// The attributes seen so far.
#[derive(Default)]
pub(crate) struct Reading {
    attributes: BTreeMap<String, Attribute>,
}

impl Reading {
    /// Takes one attribute. The same one twice is an error unless both say the same.
    pub(crate) fn take(&mut self, name: &str, value: Attribute) -> Result<(), EnvelopeError> {
        if let Attribute::String(text) = &value {
            attribute::check_text(name, text)?;
        }
        match self.attributes.get(name) {
            Some(known) if *known != value => Err(EnvelopeError::Duplicate {
                attribute: name.chars().take(40).collect(),
            }),
            _ => {
                self.attributes.insert(name.to_owned(), value);
                Ok(())
            }
        }
    }

    /// The media type of the data, where an attribute says it.
    pub(crate) fn data_content_type(&self) -> Option<&str> {
        self.attributes
            .get("datacontenttype")
            .and_then(Attribute::as_str)
            .filter(|text| !text.is_empty())
    }

    /// The event. Required attributes are required; an empty optional one counts as unset; unknown extensions are kept.
    pub(crate) fn finish(
        mut self,
        data_content_type: Option<String>,
        data: Option<Bytes>,
    ) -> Result<CloudEvent, EnvelopeError> {
        let version = self.text("specversion")?.ok_or(EnvelopeError::Missing {
            attribute: "specversion",
        })?;
        if version != "1.0" {
            return Err(EnvelopeError::invalid(
                "specversion",
                "is not \"1.0\", the only version read here",
            ));
        }
        let id = self.required("id")?;
        let source = self.required("source")?;
        let event_type = self.required("type")?;
        let subject = self.optional("subject")?;
        let time = self
            .optional("time")?
            .map(|text| read_time(&text))
            .transpose()?;
        let data_schema = self.optional("dataschema")?;
        let said = self.optional("datacontenttype")?;
        Ok(CloudEvent {
            id,
            source,
            event_type,
            subject,
            time,
            data_content_type: data_content_type.or(said),
            data_schema,
            extensions: self.extensions()?,
            data,
        })
    }

    fn extensions(self) -> Result<BTreeMap<String, Attribute>, EnvelopeError> {
        let mut extensions = BTreeMap::new();
        for (name, value) in self.attributes {
            attribute::check_extension_name(&name)?;
            if attribute::TEXT_EXTENSIONS.contains(&name.as_str()) {
                // Some producers write a number where the specification says text, or leave the text empty.
                let text = value.to_string();
                if !text.is_empty() {
                    extensions.insert(name, Attribute::String(text));
                }
            } else {
                extensions.insert(name, value);
            }
        }
        Ok(extensions)
    }

    fn required(&mut self, attribute: &'static str) -> Result<String, EnvelopeError> {
        let text = self
            .text(attribute)?
            .ok_or(EnvelopeError::Missing { attribute })?;
        if text.is_empty() {
            return Err(EnvelopeError::invalid(attribute, "is empty"));
        }
        Ok(text)
    }

    fn optional(&mut self, attribute: &'static str) -> Result<Option<String>, EnvelopeError> {
        Ok(self.text(attribute)?.filter(|text| !text.is_empty()))
    }

    fn text(&mut self, attribute: &'static str) -> Result<Option<String>, EnvelopeError> {
        match self.attributes.remove(attribute) {
            None => Ok(None),
            Some(Attribute::String(text)) => Ok(Some(text)),
            Some(Attribute::Boolean(_) | Attribute::Integer(_)) => {
                Err(EnvelopeError::invalid(attribute, "is not text"))
            }
        }
    }
}

fn read_time(text: &str) -> Result<DateTime<Utc>, EnvelopeError> {
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|_| EnvelopeError::invalid("time", "is not a timestamp (RFC 3339)"))?
        .to_utc();
    attribute::check_time("time", time)?;
    Ok(time)
}
