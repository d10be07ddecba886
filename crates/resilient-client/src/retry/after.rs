//! `Retry-After`: seconds or a date.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// No server is taken at its word for longer than this: a year in a header is a mistake.
const LONGEST: Duration = Duration::from_hours(24);

/// How long the server asks to wait; a date in the past means now. What cannot be read is ignored.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is still "very long".
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(value)
            .ok()?
            .duration_since(now)
            .unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn after(value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        // 1994-11-06 08:49:37 UTC, the RFC's own example.
        retry_after(
            &headers,
            SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
        )
    }

    #[test]
    fn seconds() {
        assert_eq!(after("121"), Some(Duration::from_secs(121)));
        assert_eq!(after(" 0 "), Some(Duration::ZERO));
        assert_eq!(after("99999999999999999999999999"), Some(LONGEST));
    }

    #[test]
    fn dates() {
        assert_eq!(
            after("Sun, 06 Nov 1994 08:50:07 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            after("Sunday, 06-Nov-94 08:49:40 GMT"),
            Some(Duration::from_secs(3))
        );
        assert_eq!(after("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_ignored() {
        for value in ["", "-1", "1.5", "soon", "+3"] {
            assert_eq!(after(value), None, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }
}
