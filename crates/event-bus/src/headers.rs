//! What travels beside the event without being one of its attributes.

use std::fmt;

use bytes::Bytes;

use crate::error::{Error, ErrorKind};

/// The longest name of a header, in bytes.
const LONGEST: usize = 128;
/// What backends use for their own headers and for the attributes of the event.
const RESERVED: [&str; 5] = ["ce_", "ce-", "cloudevents", "commerce-", "x-"];

/// Headers of a message: bytes under names, in the order they were added. A name may occur more than once.
///
/// The attributes of the event are not headers; what every consumer should understand belongs there
/// ([extensions](commerce_contracts::CloudEvent::extension)). Headers are for what is not text, and for other systems.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Bytes)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header. The name is made of lower-case letters, digits, `-`, `_` and `.`, at most 128 bytes, and does not
    /// begin as the backends' own do (`ce_`, `ce-`, `cloudevents`, `commerce-`, `x-`); an error of kind
    /// [`Message`](ErrorKind::Message) says which rule it breaks.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Result<(), Error> {
        let name = name.into();
        if let Some(problem) = problem_of(&name) {
            let shown: String = name.chars().take(LONGEST).collect();
            return Err(Error::new(
                ErrorKind::Message,
                "header",
                format!("{shown:?} is not a valid header name: {problem}"),
            ));
        }
        self.0.push((name, value.into()));
        Ok(())
    }

    /// The first value under a name.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.iter()
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }
}

/// For backends: headers as they arrived, whatever their names.
impl FromIterator<(String, Bytes)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, Bytes)>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and sizes: values are not for logs.
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, value.len())))
            .finish()
    }
}

/// A foreign name, for logs and dead letters: quoted, and cut where it is longer than any of ours.
#[cfg(any(feature = "kafka", feature = "rabbitmq", feature = "sqs"))]
pub(crate) fn quoted(name: &str) -> String {
    format!("{:?}", name.chars().take(40).collect::<String>())
}

fn problem_of(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > LONGEST {
        return Some("it is longer than 128 bytes");
    }
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(allowed) {
        return Some("only lower-case letters, digits, '-', '_' and '.' are allowed");
    }
    if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
        return Some(
            "names that begin with ce_, ce-, cloudevents, commerce- or x- are the backends' own",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_order_and_their_bytes() {
        let mut headers = Headers::new();
        headers.add("b", vec![0xff, 0]).unwrap();
        headers.add("a", "").unwrap();
        headers.add("b", "second").unwrap();
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a", "b"]);
        assert_eq!(headers.get("b").unwrap().as_ref(), [0xff, 0]);
        assert_eq!(headers.size(), 3 + 2 + 6);
    }

    #[test]
    fn values_are_not_shown() {
        let headers = Headers::from_iter([("authorization".to_owned(), Bytes::from("secret"))]);
        assert_eq!(format!("{headers:?}"), r#"{"authorization": 6}"#);
    }

    #[test]
    fn a_wrong_name_is_refused_with_the_rule() {
        let long = "a".repeat(129);
        for (name, rule) in [
            ("", "empty"),
            (long.as_str(), "128"),
            ("Upper", "lower-case"),
            ("ce_id", "own"),
            ("commerce-key", "own"),
        ] {
            let error = Headers::new().add(name, "").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Message);
            assert!(error.to_string().contains(rule), "{name}: {error}");
        }
    }
}
