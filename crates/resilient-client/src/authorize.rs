//! Where a request's credentials come from.

use std::{error::Error as StdError, fmt, sync::Arc};

use async_trait::async_trait;
use http::HeaderValue;

/// Supplies the value of the `Authorization` header.
///
/// The client asks before every attempt and sends the answer only to the origins it was allowed for, so an implementation
/// should cache. When a server answers 401, the client calls [`rejected`](Self::rejected) once with the value that was
/// refused, asks again and repeats the request once.
///
/// Implementations must not print the credential in `Debug`.
#[async_trait]
pub trait Authorize: fmt::Debug + Send + Sync + 'static {
    /// The header value, for instance `Bearer …`. Mark it sensitive, so that it stays out of logs.
    async fn authorize(&self) -> Result<HeaderValue, AuthorizeError>;

    /// The server refused this value with 401. Forget it, unless a newer one has taken its place meanwhile: many requests
    /// in flight may report the same refusal.
    async fn rejected(&self, refused: &HeaderValue) {
        let _ = refused;
    }
}

#[async_trait]
impl<T: Authorize + ?Sized> Authorize for Arc<T> {
    async fn authorize(&self) -> Result<HeaderValue, AuthorizeError> {
        (**self).authorize().await
    }

    async fn rejected(&self, refused: &HeaderValue) {
        (**self).rejected(refused).await;
    }
}

/// Why there are no credentials.
#[derive(Debug)]
pub struct AuthorizeError {
    retryable: bool,
    source: Box<dyn StdError + Send + Sync>,
}

impl AuthorizeError {
    /// The credentials cannot be had: asking again will not help.
    pub fn permanent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            retryable: false,
            source: source.into(),
        }
    }

    /// The credentials cannot be had now: the identity provider is away or busy.
    pub fn temporary(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            retryable: true,
            source: source.into(),
        }
    }

    /// Whether a later call may succeed.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for AuthorizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no credentials: {}", self.source)
    }
}

impl StdError for AuthorizeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}
