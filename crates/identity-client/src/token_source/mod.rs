//! Access tokens for a service's own requests.

mod cache;
mod error;
mod grant;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use commerce_resilient_client::{Authorize, AuthorizeError};
use http::HeaderValue;
use secrecy::SecretString;

pub use self::error::{InvalidTokenSource, TokenError};
use self::{cache::TokenCache, grant::ClientCredentialsGrant};

/// Supplies access tokens: obtained when first needed, kept, and replaced before they end. A clone shares the token.
///
/// However many requests want a token, one request for it is made. A token past three quarters of its life is replaced in
/// the background while it is still handed out. After failures it is asked for with growing pauses, half a second to
/// half a minute, and callers get the last error at once. A token that a server refused is replaced, once.
///
/// ```no_run
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use commerce_identity_client::TokenSource;
/// use commerce_resilient_client::Client;
///
/// let tokens = TokenSource::client_credentials(
///     "https://id.example.com/oauth/token",
///     "order-importer",
///     std::env::var("CLIENT_SECRET")?.into(),
/// )
/// .scope("orders.order.create")
/// .build()?;
/// let shop = Client::builder("https://api.example.com")?.auth(tokens).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenSource {
    cache: Arc<TokenCache>,
}

impl TokenSource {
    /// Tokens for a client that acts for itself (OAuth 2.0, grant type `client_credentials`). The client's id and secret
    /// go to the token endpoint by HTTP Basic authentication, and nowhere else.
    pub fn client_credentials(
        token_url: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: SecretString,
    ) -> ClientCredentials {
        ClientCredentials {
            token_url: token_url.into(),
            client_id: client_id.into(),
            client_secret,
            scope: None,
            audience: None,
        }
    }
}

/// Settings of a [`TokenSource`]; made by [`TokenSource::client_credentials`].
#[derive(Clone)]
#[must_use]
pub struct ClientCredentials {
    token_url: String,
    client_id: String,
    client_secret: SecretString,
    scope: Option<String>,
    audience: Option<String>,
}

impl ClientCredentials {
    /// Asks for less than the client may do: permissions, separated by spaces. Default: all of them.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Names whom the token is for, where the issuer serves several.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Checks the settings. Nothing is sent yet.
    pub fn build(self) -> Result<TokenSource, InvalidTokenSource> {
        Ok(TokenSource {
            cache: TokenCache::new(ClientCredentialsGrant::new(self)?),
        })
    }
}

#[async_trait]
impl Authorize for TokenSource {
    async fn authorize(&self) -> Result<HeaderValue, AuthorizeError> {
        self.cache.header().await.map_err(|error| {
            if error.is_retryable() {
                AuthorizeError::temporary(error)
            } else {
                AuthorizeError::permanent(error)
            }
        })
    }

    async fn rejected(&self, refused: &HeaderValue) {
        self.cache.rejected(refused);
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenSource").field(&self.cache).finish()
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("token_url", &self.token_url)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
