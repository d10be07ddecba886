//! Whatever goes wrong outside a handler is a problem+json too: unknown paths, wrong methods, rejected path and query
//! parameters, panics, timeouts.

use std::any::Any;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::problem::Problem;

/// The longest plain-text error that is kept as the detail of a problem.
const DETAIL_LIMIT: usize = 4096;

/// Gives the body of a problem to an error that has none or only a plain text, and keeps its headers
/// (`Allow`, `Retry-After`, `WWW-Authenticate`).
pub(crate) async fn describe(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || !is_plain(&response) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = text(body).await;
    let mut problem = Problem::new(status);
    problem = match (status, text) {
        (StatusCode::INTERNAL_SERVER_ERROR, _) => problem,
        (_, Some(text)) => problem.detail(text),
        (StatusCode::NOT_FOUND, None) => problem.detail(format!("there is nothing at {path}")),
        (StatusCode::METHOD_NOT_ALLOWED, None) => {
            problem.detail(format!("{path} does not take {method}"))
        }
        _ => problem,
    };
    let mut described = problem.into_response();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            described.headers_mut().append(name, value.clone());
        }
    }
    described
}

fn is_plain(response: &Response) -> bool {
    match response.headers().get(header::CONTENT_TYPE) {
        None => true,
        Some(value) => value.as_bytes().starts_with(b"text/plain"),
    }
}

async fn text(body: Body) -> Option<String> {
    let bytes = to_bytes(body, DETAIL_LIMIT).await.ok()?;
    let text = String::from_utf8(bytes.into()).ok()?;
    (!text.is_empty()).then_some(text)
}

/// Ends a request that takes too long; the handler is dropped, and with it its transaction.
pub(crate) async fn limit_time(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(response) = tokio::time::timeout(limit, next.run(request)).await else {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(limit_ms, "the request took too long and was ended");
        return Problem::unavailable(
            "the request took too long and was ended; it may be tried again",
            1,
        )
        .into_response();
    };
    response
}

/// A panic in a handler ends its request, not the service.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that tower-http asks for"
)]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic_text(panic.as_ref());
    tracing::error!(panic = text, "a handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

/// The message of a panic, where it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
