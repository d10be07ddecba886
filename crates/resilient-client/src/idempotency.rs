//! The `Idempotency-Key` header: a structured-field String (RFC 9651), so the key is quoted.

use http::{HeaderName, HeaderValue};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};

/// The header's name.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A key nobody else has.
pub(crate) fn random() -> String {
    Uuid::new_v4().to_string()
}

/// The header value for a key; only printable ASCII fits into a structured-field String.
pub(crate) fn header_value(key: &str) -> Result<HeaderValue, Error> {
    let mistake = || {
        Error::new(
            ErrorKind::Request,
            "an idempotency key is one or more printable ASCII characters",
        )
    };
    if key.is_empty() || !key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(mistake());
    }
    let escaped = key.replace('\\', r"\\").replace('"', "\\\"");
    HeaderValue::try_from(format!("\"{escaped}\"")).map_err(|error| mistake().because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_and_escaped() {
        assert_eq!(header_value("8e03978e").unwrap(), "\"8e03978e\"");
        assert_eq!(header_value(r#"a"b\c"#).unwrap(), r#""a\"b\\c""#);
    }

    #[test]
    fn what_a_structured_field_cannot_hold_is_refused() {
        for key in ["", "ü", "a\nb", "\u{7f}"] {
            assert!(header_value(key).is_err(), "{key:?}");
        }
    }
}
