//! Why there is no token.

use crate::BoxError;

/// Why no access token could be obtained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The token endpoint refused the client or what it asked for; asking again will not help.
    #[error(
        "the token endpoint refused the request ({status}): check the client's id, secret and scope"
    )]
    Refused {
        /// The HTTP status: 401 for the client's credentials, 400 for anything else.
        status: u16,
        /// The HTTP client's account of it.
        source: BoxError,
    },
    /// The token endpoint was not reached, was too slow, or has trouble of its own.
    #[error("the token endpoint is not available")]
    Unavailable(#[source] BoxError),
    /// The answer is no token response.
    #[error("the answer of the token endpoint is not usable: {0}")]
    Malformed(&'static str),
}

impl TokenError {
    pub(super) fn interrupted() -> Self {
        Self::Unavailable("no answer in time".into())
    }

    /// Whether a later request may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A setting of a [`TokenSource`](super::TokenSource) is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTokenSource {
    /// The client's id is empty.
    #[error("the client id is empty")]
    NoClientId,
    /// The URL of the token endpoint cannot be used.
    #[error("the URL of the token endpoint cannot be used")]
    Url(#[source] BoxError),
    /// The client's id or secret cannot be sent in a header.
    #[error("the client id or secret cannot be sent in a header")]
    Credentials,
}
