//! Errors of the token endpoint (RFC 6749, section 5.2): not problem documents, since OAuth clients know these.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use commerce_consumer_framework::storage;
use commerce_host::{Json, Problem};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OAuthError {
    /// `invalid_request`, `invalid_client`, `unsupported_grant_type`, `invalid_scope` or `invalid_target`.
    error: &'static str,
    /// For the developer of the client.
    error_description: Cow<'static, str>,
}

impl OAuthError {
    fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            error,
            error_description: description.into(),
        }
    }

    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_request", description)
    }

    /// Unknown client or wrong secret: which of the two is not told.
    pub(super) fn invalid_client() -> Self {
        Self::new("invalid_client", "there is no client of this id and secret")
    }

    pub(super) fn unsupported_grant_type() -> Self {
        Self::new(
            "unsupported_grant_type",
            "the only grant type is client_credentials",
        )
    }

    pub(super) fn invalid_scope(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_scope", description)
    }

    /// RFC 8707.
    pub(super) fn invalid_target() -> Self {
        Self::new(
            "invalid_target",
            "tokens are not issued for this audience here",
        )
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let unknown_client = self.error == "invalid_client";
        let status = if unknown_client {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        let mut response = (status, Json(self)).into_response();
        if unknown_client {
            let challenge = HeaderValue::from_static(r#"Basic realm="token endpoint""#);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// What can go wrong: the client's request, or our own house.
pub(super) enum TokenFailure {
    Refused(OAuthError),
    Failed(Problem),
}

impl From<OAuthError> for TokenFailure {
    fn from(error: OAuthError) -> Self {
        Self::Refused(error)
    }
}

impl From<storage::Error> for TokenFailure {
    fn from(error: storage::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for TokenFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for TokenFailure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(error) => error.into_response(),
            Self::Failed(problem) => problem.into_response(),
        }
    }
}
