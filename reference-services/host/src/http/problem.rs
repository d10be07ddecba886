//! `application/problem+json` (RFC 9457): the one shape of every error that a service answers.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use commerce_consumer_framework::storage;
use commerce_identity_client::Forbidden;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// Media type of an error body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error as the caller sees it.
///
/// `?` turns the errors of database, bus and [`anyhow`] into a 500 (or 503, where trying again may help) whose cause is
/// logged and *not* told to the caller, and a missing permission into a 403. A service gives its own errors their
/// answers with `impl From<MyError> for Problem` and the constructors below.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Identifies the kind of problem; `about:blank` when the status says it all.
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    /// Short summary of the kind of problem.
    title: Cow<'static, str>,
    /// The HTTP status code.
    status: u16,
    /// What went wrong this time, and how to do it right.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Each mistake in the request body, where there are several or where the place matters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<InvalidPart>,
    /// Boxed, so that a `Result` with a problem stays small.
    #[serde(skip)]
    #[schema(ignore)]
    headers: Option<Box<HeaderMap>>,
}

/// One mistake in a request body.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct InvalidPart {
    /// JSON Pointer to the place; empty for the document itself.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl Problem {
    /// A problem which the status alone explains.
    pub fn new(status: StatusCode) -> Self {
        Self {
            kind: Cow::Borrowed("about:blank"),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Unknown status")),
            status: status.as_u16(),
            detail: None,
            errors: Vec::new(),
            headers: None,
        }
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST).detail(detail)
    }

    /// 403: the caller is known and may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN).detail(detail)
    }

    /// 404: there is no such thing, or none that this caller may see.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND).detail(detail)
    }

    /// 409: the state of the resource does not allow this now.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT).detail(detail)
    }

    /// 422: understood, but not acceptable.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY).detail(detail)
    }

    /// 503: something that the service needs is away; the caller may try again after `seconds`.
    pub fn unavailable(detail: impl Into<String>, seconds: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE)
            .detail(detail)
            .header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 500: logs the cause with all its sources and tells the caller nothing about it.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "the request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Names the kind of problem by a URI reference.
    pub fn kind(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Replaces the title, which starts as the reason phrase of the status.
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.title = title.into();
        self
    }

    /// Says what went wrong this time.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds one mistake at a place in the request body (JSON Pointer).
    pub fn at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(InvalidPart {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// Adds a response header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let headers = self.headers.take();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        if let Some(headers) = headers {
            response.headers_mut().extend(*headers);
        }
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
    }
}

/// An error that nobody expected: logged, and answered by a bare 500.
impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(error.as_ref())
    }
}

/// 503 where trying again may help, else 500.
impl From<storage::Error> for Problem {
    fn from(error: storage::Error) -> Self {
        if error.is_retryable() {
            tracing::warn!(error = %chain(&error), "the database could not serve the request");
            return Self::unavailable(
                "the database is busy or away; the request may be tried again",
                1,
            );
        }
        Self::internal(&error)
    }
}

/// 500: an event of ours that does not encode, or a bus that refuses it.
impl From<commerce_event_bus::Error> for Problem {
    fn from(error: commerce_event_bus::Error) -> Self {
        Self::internal(&error)
    }
}

/// 403, with the permission that would have been enough.
impl From<Forbidden> for Problem {
    fn from(forbidden: Forbidden) -> Self {
        let problem = Self::forbidden(forbidden.to_string());
        match forbidden
            .into_response()
            .headers_mut()
            .remove(header::WWW_AUTHENTICATE)
        {
            Some(challenge) => problem.header(header::WWW_AUTHENTICATE, challenge),
            None => problem,
        }
    }
}

/// An error and its sources on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        // Many errors repeat their source in their own text.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}
