//! The principal as an extractor of axum handlers.

use axum::{
    Extension,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde_json::json;

use crate::{Forbidden, Principal, Rejected, Verifier};

impl Verifier {
    /// Makes [`Principal`] an extractor in the routes below it: `router.layer(verifier.layer())`.
    ///
    /// The layer alone lets everybody pass. It is the handler that takes a `Principal` which needs one, and says so in
    /// its signature.
    pub fn layer(&self) -> Extension<Self> {
        Extension(self.clone())
    }
}

/// Why a request has no principal. Answers with a problem document and, as RFC 6750 has it, with the code
/// `invalid_request` or `invalid_token` and not a word more: the reason is in our log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unauthenticated {
    /// The request carries no bearer token.
    #[error("the request carries no bearer token")]
    Missing,
    /// The `Authorization` header is not one bearer token.
    #[error("the Authorization header is malformed")]
    Malformed,
    /// The token was refused.
    #[error("the token was refused")]
    Rejected(#[from] Rejected),
    /// The router has no [`Verifier::layer`]: a mistake of the service, not of its caller.
    #[error("no verifier is installed on this route")]
    NoVerifier,
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Unauthenticated;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Unauthenticated> {
        if let Some(known) = parts.extensions.get::<Self>() {
            // Verified for another extractor of the same request.
            return Ok(known.clone());
        }
        let verifier = parts
            .extensions
            .get::<Verifier>()
            .ok_or(Unauthenticated::NoVerifier)?;
        let principal = verifier
            .verify(bearer(&parts.headers)?)
            .await
            .inspect_err(|reason| {
                tracing::info!(%reason, path = parts.uri.path(), "a token was refused");
            })?;
        parts.extensions.insert(principal.clone());
        Ok(principal)
    }
}

/// `Option<Principal>`: `None` without credentials. Bad credentials are refused all the same.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = Unauthenticated;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, Unauthenticated> {
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(principal) => Ok(Some(principal)),
            Err(Unauthenticated::Missing) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Unauthenticated> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Unauthenticated::Missing)?;
    if values.next().is_some() {
        return Err(Unauthenticated::Malformed);
    }
    let value = value.to_str().map_err(|_| Unauthenticated::Malformed)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(token.trim_start_matches(' '))
        }
        _ if value.eq_ignore_ascii_case("bearer") => Err(Unauthenticated::Malformed),
        // Another scheme is not ours to judge; what is missing is a bearer token.
        _ => Err(Unauthenticated::Missing),
    }
}

impl IntoResponse for Unauthenticated {
    fn into_response(self) -> Response {
        match self {
            Self::Missing => problem(
                StatusCode::UNAUTHORIZED,
                "a bearer token is needed",
                Some("Bearer"),
            ),
            Self::Malformed => problem(
                StatusCode::BAD_REQUEST,
                "the Authorization header must be: Bearer, a space, one token",
                Some(r#"Bearer error="invalid_request""#),
            ),
            Self::Rejected(reason) if reason.is_temporary() => {
                let mut response = problem(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "tokens cannot be verified now",
                    None,
                );
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Self::Rejected(_) => problem(
                StatusCode::UNAUTHORIZED,
                "the bearer token is not valid here, or not any more",
                Some(r#"Bearer error="invalid_token""#),
            ),
            Self::NoVerifier => {
                tracing::error!(
                    "a handler takes a Principal, but no verifier is installed on its route"
                );
                problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the request could not be authenticated",
                    None,
                )
            }
        }
    }
}

impl IntoResponse for Forbidden {
    fn into_response(self) -> Response {
        let challenge = match &self {
            // Permissions are public names, and RFC 6750 has a place for what would have been enough.
            Self::Permission(permission) => {
                format!(r#"Bearer error="insufficient_scope", scope="{permission}""#)
            }
            Self::NoOrganization => r#"Bearer error="insufficient_scope""#.to_owned(),
        };
        problem(StatusCode::FORBIDDEN, &self.to_string(), Some(&challenge))
    }
}

fn problem(status: StatusCode, detail: &str, challenge: Option<&str>) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let content_type = (
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    let mut response = (status, [content_type], body.to_string()).into_response();
    if let Some(challenge) = challenge.and_then(|challenge| HeaderValue::from_str(challenge).ok()) {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
