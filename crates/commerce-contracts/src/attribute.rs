//! Attributes of the envelope and the rules that every one of them keeps.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat, Utc};
use iri_string::types::{UriReferenceStr, UriStr};

/// The value of an extension attribute.
///
/// CloudEvents also has binary, URI and timestamp values; on every wire they are text in a canonical form, and nothing on the
/// wire says which text is one of them. They are [`Attribute::String`] here: see `From<DateTime<Utc>>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attribute {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number; CloudEvents allows 32 bits.
    Integer(i32),
    /// Text without control characters.
    String(String),
}

impl Attribute {
    /// The text, when the value is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Boolean(_) | Self::Integer(_) => None,
        }
    }
}

/// The canonical text, as headers carry it.
impl fmt::Display for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(formatter),
            Self::Integer(value) => value.fmt(formatter),
            Self::String(text) => formatter.write_str(text),
        }
    }
}

impl From<bool> for Attribute {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i32> for Attribute {
    fn from(value: i32) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<DateTime<Utc>> for Attribute {
    fn from(time: DateTime<Utc>) -> Self {
        Self::String(timestamp(time))
    }
}

/// Why an envelope cannot be written or read. It names the attribute and the rule, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// A required attribute is not there.
    #[error("the attribute {attribute} is missing")]
    Missing {
        /// Its name.
        attribute: &'static str,
    },
    /// An attribute breaks a rule of CloudEvents 1.0.
    #[error("the attribute {attribute:?} {rule}")]
    Invalid {
        /// Its name.
        attribute: String,
        /// The rule that it breaks, as the end of a sentence.
        rule: &'static str,
    },
    /// An attribute is there twice, so that nobody can say which one counts.
    #[error("the attribute {attribute:?} is there twice")]
    Duplicate {
        /// Its name.
        attribute: String,
    },
    /// `data` and `data_base64` are both there.
    #[error("`data` and `data_base64` exclude each other, and both are there")]
    DataTwice,
    /// The bytes are not a CloudEvent in JSON.
    #[error("not a CloudEvent in JSON: {detail}")]
    Malformed {
        /// What is wrong, and where.
        detail: String,
    },
    /// A structured event in a format other than JSON, or a batch.
    #[error(
        "the event is in a format that is not read here; JSON is: {}",
        crate::binding::STRUCTURED_CONTENT_TYPE
    )]
    UnsupportedFormat,
    /// The data is itself an event or a batch by its media type: in binary mode it would be taken for the message's own.
    #[error(
        "the data is a CloudEvent by its media type, and in binary mode would be taken for the event itself: write structured mode"
    )]
    Nested,
    /// Structured mode, and nothing in the message.
    #[error("the message is an event in structured mode, and its body is missing")]
    NoBody,
}

impl EnvelopeError {
    pub(crate) fn invalid(attribute: &str, rule: &'static str) -> Self {
        // Foreign names are quoted in logs: keep them short.
        Self::Invalid {
            attribute: attribute.chars().take(40).collect(),
            rule,
        }
    }

    pub(crate) fn duplicate(attribute: &str) -> Self {
        Self::Duplicate {
            attribute: attribute.chars().take(40).collect(),
        }
    }
}

/// Names with a meaning of their own, which therefore cannot name an extension.
const RESERVED: [&str; 9] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
];

/// Extensions that are text by their own specification.
pub(crate) const TEXT_EXTENSIONS: [&str; 8] = [
    "partitionkey",
    "correlationid",
    "causationid",
    "traceparent",
    "tracestate",
    "sequence",
    "expirytime",
    "dataref",
];

/// The name of such an extension, as it is kept: without a copy.
pub(crate) fn text_extension(name: &str) -> Option<&'static str> {
    TEXT_EXTENSIONS.into_iter().find(|known| *known == name)
}

pub(crate) fn check_extension_name(name: &str) -> Result<(), EnvelopeError> {
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        return Err(EnvelopeError::invalid(
            name,
            "has a name that is not made of lower-case letters and digits",
        ));
    }
    if RESERVED.contains(&name) {
        return Err(EnvelopeError::invalid(
            name,
            "has a meaning of its own and cannot be an extension",
        ));
    }
    Ok(())
}

/// Text as CloudEvents defines it: no control characters and no code points that Unicode reserves as non-characters.
pub(crate) fn check_text(attribute: &str, text: &str) -> Result<(), EnvelopeError> {
    // Nearly all text is this, and bytes are looked at faster than characters: many at once, where none ends the search.
    let is_plain = |plain, byte: u8| plain & (0x20..0x7f).contains(&byte);
    if text.bytes().fold(true, is_plain) {
        return Ok(());
    }
    let forbidden = |character: char| {
        let code = u32::from(character);
        character.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
    };
    if text.contains(forbidden) {
        return Err(EnvelopeError::invalid(
            attribute,
            "holds a control character",
        ));
    }
    Ok(())
}

pub(crate) fn check_filled(attribute: &str, text: &str) -> Result<(), EnvelopeError> {
    if text.is_empty() {
        return Err(EnvelopeError::invalid(attribute, "is empty"));
    }
    check_text(attribute, text)
}

pub(crate) fn check_uri_reference(attribute: &str, text: &str) -> Result<(), EnvelopeError> {
    check_filled(attribute, text)?;
    if is_plain_path(text) {
        return Ok(());
    }
    match UriReferenceStr::new(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(EnvelopeError::invalid(
            attribute,
            "is not a URI reference (RFC 3986)",
        )),
    }
}

pub(crate) fn check_uri(attribute: &str, text: &str) -> Result<(), EnvelopeError> {
    if is_plain_name(text) {
        return Ok(());
    }
    match UriStr::new(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(EnvelopeError::invalid(
            attribute,
            "is not an absolute URI (RFC 3986)",
        )),
    }
}

/// `/orders`, as most sources are: a URI reference that needs no parser to be seen as one.
fn is_plain_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.bytes().all(|byte| byte == b'/' || is_unreserved(byte))
}

/// `urn:contract:orders.order.placed:v1`: likewise a URI.
fn is_plain_name(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && rest.bytes().all(|byte| byte == b':' || is_unreserved(byte))
    })
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// `type/subtype`, then whatever parameters.
pub(crate) fn check_media_type(attribute: &str, text: &str) -> Result<(), EnvelopeError> {
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let essence = essence(text);
    match essence.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => check_text(attribute, text),
        _ => Err(EnvelopeError::invalid(
            attribute,
            "is not a media type such as application/json",
        )),
    }
}

/// A media type without its parameters.
pub(crate) fn essence(content_type: &str) -> &str {
    content_type
        .split_once(';')
        .map_or(content_type, |(essence, _)| essence)
        .trim()
}

/// Whether data of this media type is JSON: the subtype is `json` or ends in `+json`, whatever its case and parameters.
pub(crate) fn is_json(content_type: &str) -> bool {
    let Some((_, subtype)) = essence(content_type).split_once('/') else {
        return false;
    };
    let suffix = subtype
        .rsplit_once('+')
        .map_or(subtype, |(_, suffix)| suffix);
    suffix.eq_ignore_ascii_case("json")
}

/// RFC 3339 has four digits for the year.
pub(crate) fn check_time(attribute: &str, time: DateTime<Utc>) -> Result<(), EnvelopeError> {
    if (0..=9999).contains(&time.year()) {
        return Ok(());
    }
    Err(EnvelopeError::invalid(
        attribute,
        "is a time outside the years 0 to 9999 (RFC 3339)",
    ))
}

/// None when the text is not RFC 3339, or its year does not have four digits in UTC.
pub(crate) fn read_timestamp(text: &str) -> Option<DateTime<Utc>> {
    if let Some(time) = read_common_timestamp(text.as_bytes()) {
        return Some(time);
    }
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    check_time("", time).ok().map(|()| time)
}

/// `2026-01-31T12:34:56Z`, with up to nine digits after the seconds, as nearly everybody writes. None for everything else, leap seconds
/// among it, which is for the whole parser to judge.
fn read_common_timestamp(text: &[u8]) -> Option<DateTime<Utc>> {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u32, |number, byte| {
            let digit = u32::from(byte.wrapping_sub(b'0'));
            (digit < 10).then_some(number * 10 + digit)
        })
    };
    let (seconds, rest) = text.split_first_chunk::<19>()?;
    let fraction = rest.strip_suffix(b"Z")?;
    let [
        _,
        _,
        _,
        _,
        b'-',
        _,
        _,
        b'-',
        _,
        _,
        b'T',
        _,
        _,
        b':',
        _,
        _,
        b':',
        _,
        _,
    ] = seconds
    else {
        return None;
    };
    let nanoseconds = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let missing = 9 - u32::try_from(digits.len()).ok()?;
            number(digits)? * 10_u32.pow(missing)
        }
        _ => return None,
    };
    let year = i32::try_from(number(&seconds[..4])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&seconds[5..7])?, number(&seconds[8..10])?)?;
    let time = NaiveTime::from_hms_nano_opt(
        number(&seconds[11..13])?,
        number(&seconds[14..16])?,
        number(&seconds[17..])?,
        nanoseconds,
    )?;
    Some(date.and_time(time).and_utc())
}

pub(crate) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        DateTime, UriReferenceStr, UriStr, is_plain_name, is_plain_path, read_common_timestamp,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn a_common_timestamp_is_what_the_parser_reads(
            text in "[0-9]{4}-[0-3][0-9]-[0-3][0-9]T[0-3][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|z|[+]00:00)?|[0-9]{4}-0[1-9]-1[0-9]T1[0-9]:1[0-9]:1[0-9](\\.[0-9]{1,9})?Z"
        ) {
            let parsed = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.to_utc());
            if let Some(time) = read_common_timestamp(text.as_bytes()) {
                prop_assert_eq!(Some(time), parsed, "{}", text);
            } else if text.ends_with('Z') && !text.contains(":60") {
                let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len() - 1);
                prop_assert!(parsed.is_none() || digits > 9, "{}", text);
            }
        }

        #[test]
        fn what_looks_plain_is_what_the_parser_takes(text in "[a:/.~%0-]{0,8}|[a-z]{1,4}:[a-z:.1]{0,6}|/[a-z/_]{0,6}") {
            if is_plain_path(&text) {
                prop_assert!(UriReferenceStr::new(&text).is_ok(), "{text}");
            }
            if is_plain_name(&text) {
                prop_assert!(UriStr::new(&text).is_ok(), "{text}");
            }
        }
    }
}
