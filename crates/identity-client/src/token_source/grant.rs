//! The client credentials grant (RFC 6749, section 4.4).

use std::{fmt, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use commerce_resilient_client::{BreakerPolicy, Client, Error, ErrorKind, RetryPolicy};
use http::{HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

use super::{
    ClientCredentials, InvalidTokenSource, TokenError,
    cache::{Grant, Issued},
};

/// Taken where the answer does not say; and no token is believed to live longer than a day.
const USUAL_LIFETIME: Duration = Duration::from_hours(1);
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);
/// A token response is a token and little else.
const LONGEST_BODY: usize = 64 * 1024;

pub(super) struct ClientCredentialsGrant {
    client: Client,
    token_url: String,
    client_id: String,
    credentials: HeaderValue,
    form: Vec<(&'static str, String)>,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

impl ClientCredentialsGrant {
    pub(super) fn new(settings: ClientCredentials) -> Result<Self, InvalidTokenSource> {
        if settings.client_id.is_empty() {
            return Err(InvalidTokenSource::NoClientId);
        }
        let form = [
            ("grant_type", Some("client_credentials".to_owned())),
            ("scope", settings.scope),
            ("audience", settings.audience),
        ];
        Ok(Self {
            client: client(&settings.token_url)
                .map_err(|error| InvalidTokenSource::Url(error.into()))?,
            credentials: basic(&settings.client_id, &settings.client_secret)?,
            token_url: settings.token_url,
            client_id: settings.client_id,
            form: form
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        })
    }
}

fn client(token_url: &str) -> Result<Client, Error> {
    Client::builder(token_url)?
        .timeout(Duration::from_secs(12))
        .attempt_timeout(Duration::from_secs(5))
        .longest_body(LONGEST_BODY)
        .retry(RetryPolicy::default().attempts(3))
        // The cache makes its own pauses after failures.
        .breaker(BreakerPolicy::disabled())
        .build()
}

/// RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
fn basic(client_id: &str, secret: &SecretString) -> Result<HeaderValue, InvalidTokenSource> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(client_id), encode(secret.expose_secret()));
    sensitive(&format!("Basic {}", STANDARD.encode(pair))).ok_or(InvalidTokenSource::Credentials)
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[async_trait]
impl Grant for ClientCredentialsGrant {
    async fn request(&self) -> Result<Issued, TokenError> {
        let form = self
            .form
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let answer = self
            .client
            .at(&self.token_url)
            .post_form(form)
            .header(header::AUTHORIZATION, self.credentials.clone())
            // Twice the request is two tokens, one of them unused: no harm.
            .repeatable()
            .send::<TokenResponse>()
            .await
            .map_err(refused_or_unavailable)?
            .into_data();
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Malformed("token_type is not Bearer"));
        }
        let header = sensitive(&format!("Bearer {}", answer.access_token)).ok_or(
            TokenError::Malformed("access_token cannot be sent in a header"),
        )?;
        let lifetime = answer
            .expires_in
            .map_or(USUAL_LIFETIME, Duration::from_secs)
            .min(LONGEST_LIFETIME);
        if lifetime.is_zero() {
            return Err(TokenError::Malformed("the token has ended already"));
        }
        Ok(Issued { header, lifetime })
    }
}

fn refused_or_unavailable(error: Error) -> TokenError {
    match (error.kind(), error.status()) {
        (ErrorKind::Decode, _) => TokenError::Malformed("not a token response"),
        (_, Some(status)) if status.is_client_error() && !error.is_retryable() => {
            TokenError::Refused {
                status: status.as_u16(),
                source: error.into(),
            }
        }
        _ => TokenError::Unavailable(error.into()),
    }
}

impl fmt::Debug for ClientCredentialsGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} at {}", self.client_id, self.token_url)
    }
}
