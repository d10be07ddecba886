//! Compatibility of Avro schemas, by the specification (1.12).
//!
//! Stricter than Java's checker in three places, where its answer "compatible" does not keep data readable or its meaning the same:
//!
//! - **Logical types count.** A decimal with another precision or scale, a timestamp in another unit, a logical type on one side only:
//!   the bytes can be read, and mean something else.
//! - **Bytes read as a string** may not be UTF-8: [`Verdict::Unknown`].
//! - **A field or type that matches twice through aliases** is read differently by different readers.

mod default;
mod resolve;
mod schema;

use std::borrow::Cow;

use serde_json::Value;

use self::resolve::Resolver;
use self::schema::Schema;
use super::report::{Difference, Finding, Report, Verdict};
use super::{Direction, Mode, Rule};
use crate::avro::SchemaError;
use crate::avro::parse::primitive;

/// The text of a schema, or its JSON.
pub trait Text {
    /// The schema as JSON; the error says why the text is none.
    fn to_json(&self) -> Result<Cow<'_, Value>, String>;
}

impl Text for str {
    fn to_json(&self) -> Result<Cow<'_, Value>, String> {
        // The name of a primitive type, without quotes, as it is often stored; `null` is JSON as well.
        if primitive(self.trim()).is_some() {
            return Ok(Cow::Owned(Value::from(self.trim())));
        }
        serde_json::from_str(self)
            .map(Cow::Owned)
            .map_err(|error| error.to_string())
    }
}

impl Text for String {
    fn to_json(&self) -> Result<Cow<'_, Value>, String> {
        self.as_str().to_json()
    }
}

impl Text for Value {
    fn to_json(&self) -> Result<Cow<'_, Value>, String> {
        Ok(Cow::Borrowed(self))
    }
}

/// Checks a new version against an old one.
///
/// ```
/// use commerce_contracts::compatibility::{Mode, Rule, avro};
///
/// let old = r#"{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}"#;
/// let new = r#"{"type": "record", "name": "Order", "fields": [
///     {"name": "id", "type": "string"},
///     {"name": "channel", "type": ["null", "string"], "default": null}
/// ]}"#;
/// assert!(avro::check(old, new, Mode::Full).is_compatible());
///
/// let renamed = new.replace(r#""id""#, r#""order_id""#);
/// let report = avro::check(new, &renamed, Mode::Backward);
/// assert_eq!(report.findings()[0].rule, Rule::ReaderFieldMissingDefaultValue);
/// assert_eq!(report.findings()[0].new, "/fields/0");
/// ```
pub fn check<O: Text + ?Sized, N: Text + ?Sized>(old: &O, new: &N, mode: Mode) -> Report {
    Report::new(findings(old, new, mode))
}

pub(super) fn findings<O: Text + ?Sized, N: Text + ?Sized>(
    old: &O,
    new: &N,
    mode: Mode,
) -> Vec<Finding> {
    let (old, new) = (parsed(old), parsed(new));
    let mut findings = Vec::new();
    for direction in mode.directions() {
        let (writer, reader) = match direction {
            Direction::Backward => (&old, &new),
            Direction::Forward => (&new, &old),
        };
        let differences = differences(writer.as_ref(), reader.as_ref());
        findings.extend(
            differences
                .into_iter()
                .map(|difference| difference.into_finding(*direction)),
        );
    }
    findings
}

fn parsed<T: Text + ?Sized>(schema: &T) -> Result<Schema, SchemaError> {
    let value = schema.to_json().map_err(SchemaError::of_whole)?;
    Schema::parse(&value)
}

fn differences(
    writer: Result<&Schema, &SchemaError>,
    reader: Result<&Schema, &SchemaError>,
) -> Vec<Difference> {
    let refused = |who: &str, invalid: &SchemaError| Difference {
        rule: Rule::InvalidSchema,
        verdict: Verdict::Incompatible,
        writer: if who == "writer" {
            invalid.pointer().to_owned()
        } else {
            String::new()
        },
        reader: if who == "reader" {
            invalid.pointer().to_owned()
        } else {
            String::new()
        },
        message: format!(
            "The {who}'s schema is not a schema: {}. Correct it.",
            invalid.reason()
        ),
        counterexample: None,
    };
    match (writer, reader) {
        (Ok(writer), Ok(reader)) => Resolver::new(writer, reader).differences(),
        (writer, reader) => {
            let writer = writer.err().map(|invalid| refused("writer", invalid));
            let reader = reader.err().map(|invalid| refused("reader", invalid));
            writer.into_iter().chain(reader).collect()
        }
    }
}
