//! Tokens for brokers that want one.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::error::Error;

/// Gives tokens to a backend that authenticates with them (Kafka's SASL/OAUTHBEARER, RFC 7628). It is asked before a
/// connection is made, and again before a token expires.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// A token that is valid now.
    async fn token(&self) -> Result<Token, Error>;
}

/// A token and whose it is.
#[derive(Clone)]
#[non_exhaustive]
pub struct Token {
    /// The token itself, without `Bearer`.
    pub secret: String,
    /// The principal that it is for, as the broker's log should call it.
    pub principal: String,
    /// When it ends.
    pub expires_at: SystemTime,
}

impl Token {
    /// A token.
    pub fn new(
        secret: impl Into<String>,
        principal: impl Into<String>,
        expires_at: SystemTime,
    ) -> Self {
        Self {
            secret: secret.into(),
            principal: principal.into(),
            expires_at,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("principal", &self.principal)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
