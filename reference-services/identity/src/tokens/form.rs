//! The request body: a form whose fields occur once.

use std::collections::HashMap;

use http::{HeaderMap, header};

use super::error::OAuthError;

const KNOWN: [&str; 5] = [
    "grant_type",
    "scope",
    "audience",
    "client_id",
    "client_secret",
];

/// The fields that mean something here.
pub(super) struct Form(HashMap<&'static str, String>);

impl Form {
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request(
                "the body must be application/x-www-form-urlencoded",
            ));
        }
        let mut fields = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            // Unknown fields are ignored, and fields without a value are as good as not sent (RFC 6749, section 3.2).
            let Some(name) = KNOWN.into_iter().find(|known| *known == name) else {
                continue;
            };
            if value.is_empty() {
                continue;
            }
            if fields.insert(name, value.into_owned()).is_some() {
                return Err(OAuthError::invalid_request(format!(
                    "{name} is given twice"
                )));
            }
        }
        Ok(Self(fields))
    }

    pub(super) fn get(&self, name: &'static str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
