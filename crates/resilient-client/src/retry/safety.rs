//! Whether repeating a request can do harm.

use http::{Method, StatusCode};

/// What is known about a request before it is sent. It stays with the request, so a timeout (which has no response to ask)
/// is judged by the same facts as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Safety {
    repeatable: bool,
    keyed: bool,
}

impl Safety {
    /// `keyed`: the request carries an idempotency key. `vouched`: the caller knows that repeating does no harm.
    pub(crate) fn of(method: &Method, keyed: bool, vouched: bool) -> Self {
        Self {
            repeatable: method.is_idempotent() || keyed || vouched,
            keyed,
        }
    }

    /// The request may be sent again although the server may have acted on it.
    pub(crate) fn is_repeatable(self) -> bool {
        self.repeatable
    }

    /// The status is one that a later attempt may cure.
    ///
    /// 409 answers an idempotency key whose first request is still running, but also every ordinary conflict. Only the
    /// former has a reason to say when to come back, so `Retry-After` tells them apart.
    pub(crate) fn is_transient(self, status: StatusCode, asked_to_wait: bool) -> bool {
        match status.as_u16() {
            408 | 425 | 429 | 500 | 502 | 503 | 504 => true,
            409 => self.keyed && asked_to_wait,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_keys() {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
        ] {
            assert!(
                Safety::of(&method, false, false).is_repeatable(),
                "{method}"
            );
        }
        for method in [Method::POST, Method::PATCH] {
            assert!(
                !Safety::of(&method, false, false).is_repeatable(),
                "{method}"
            );
            assert!(Safety::of(&method, true, false).is_repeatable(), "{method}");
            assert!(Safety::of(&method, false, true).is_repeatable(), "{method}");
        }
    }

    #[test]
    fn statuses() {
        let keyed = Safety::of(&Method::POST, true, false);
        assert!(keyed.is_transient(StatusCode::SERVICE_UNAVAILABLE, false));
        assert!(!keyed.is_transient(StatusCode::NOT_IMPLEMENTED, true));
        assert!(!keyed.is_transient(StatusCode::UNPROCESSABLE_ENTITY, true));
        assert!(keyed.is_transient(StatusCode::CONFLICT, true));
        assert!(!keyed.is_transient(StatusCode::CONFLICT, false));
        assert!(!Safety::of(&Method::PUT, false, false).is_transient(StatusCode::CONFLICT, true));
    }
}
