//! Problem details, RFC 9457: a server's machine-readable reason for refusing.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document. Members of the wrong type are ignored, as the RFC asks.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// Identifies the kind of problem; `about:blank` when the status says it all.
    pub problem_type: Option<String>,
    /// A short summary of the kind of problem.
    pub title: Option<String>,
    /// The status the origin server chose.
    pub status: Option<u16>,
    /// What went wrong this time.
    pub detail: Option<String>,
    /// Identifies this occurrence.
    pub instance: Option<String>,
    /// Every other member.
    pub extensions: Map<String, Value>,
}

impl Problem {
    /// Reads a problem document; `None` when the body is not a JSON object.
    pub fn from_json(body: &[u8]) -> Option<Self> {
        let mut members = Map::deserialize(&mut serde_json::Deserializer::from_slice(body)).ok()?;
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (problem_type, title, detail, instance) = (
            text("type"),
            text("title"),
            text("detail"),
            text("instance"),
        );
        let status = members
            .remove("status")
            .and_then(|status| status.as_u64())
            .and_then(|status| u16::try_from(status).ok());
        Some(Self {
            problem_type,
            title,
            status,
            detail,
            instance,
            extensions: members,
        })
    }

    /// Reads an error response's body when its content type says that it is a problem document.
    pub(crate) fn of(content_type: Option<&str>, body: &[u8]) -> Option<Self> {
        let media_type = content_type?.split(';').next()?.trim();
        media_type
            .eq_ignore_ascii_case(PROBLEM_JSON)
            .then(|| Self::from_json(body))?
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.title, &self.detail) {
            (Some(title), Some(detail)) => write!(f, "{title}: {detail}"),
            (Some(text), None) | (None, Some(text)) => f.write_str(text),
            (None, None) => f.write_str(self.problem_type.as_deref().unwrap_or("about:blank")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_members_and_extensions() {
        let body = br#"{"type":"urn:x:declined","title":"Declined","status":422,"detail":"no funds","code":"51"}"#;
        let problem = Problem::of(Some("application/problem+json; charset=utf-8"), body).unwrap();
        assert_eq!(problem.problem_type.as_deref(), Some("urn:x:declined"));
        assert_eq!(problem.status, Some(422));
        assert_eq!(problem.extensions["code"], "51");
        assert_eq!(problem.to_string(), "Declined: no funds");
    }

    #[test]
    fn ignores_members_of_the_wrong_type() {
        let problem = Problem::from_json(br#"{"title":7,"status":"x","detail":"d"}"#).unwrap();
        assert_eq!((problem.title.as_deref(), problem.status), (None, None));
        assert_eq!(problem.to_string(), "d");
    }

    #[test]
    fn other_media_types_are_not_problems() {
        assert_eq!(Problem::of(Some("application/json"), b"{}"), None);
        assert_eq!(Problem::of(Some("application/problem+json"), b"[]"), None);
        assert_eq!(Problem::of(None, b"{}"), None);
    }
}
