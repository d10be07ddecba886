//! Request id and transaction id: who asked, and to which business transaction the work belongs.

use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::Response;
use commerce_contracts::{CloudEvent, EnvelopeError};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::problem::Problem;
use crate::telemetry::propagation;

/// Header of the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Header of the transaction id.
pub const TRANSACTION_ID: HeaderName = HeaderName::from_static("x-transaction-id");

/// What identifies a request in logs, events and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestContext {
    /// This one request: `X-Request-Id`, or a new UUIDv7.
    pub request_id: String,
    /// The business transaction, carried through every event that follows: `X-Transaction-Id`, or a new UUIDv7.
    pub transaction_id: String,
    /// W3C trace context of the span that serves the request.
    pub trace_parent: Option<String>,
}

impl RequestContext {
    /// Ties an event to this request: the transaction id, the request as its cause, and the trace.
    pub fn stamp(&self, event: CloudEvent) -> Result<CloudEvent, EnvelopeError> {
        let event = event
            .with_transaction_id(&self.transaction_id)?
            .with_causation_id(&self.request_id)?;
        match &self.trace_parent {
            Some(trace_parent) => event.with_trace_parent(trace_parent),
            None => Ok(event),
        }
    }

    fn of(headers: &HeaderMap) -> Self {
        Self {
            request_id: sane(headers, &REQUEST_ID).unwrap_or_else(new_id),
            transaction_id: sane(headers, &TRANSACTION_ID).unwrap_or_else(new_id),
            trace_parent: None,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // A router that a test calls without the host's middleware still gets ids.
        let mut context = parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self::of(&parts.headers));
        context.trace_parent =
            propagation::current().or_else(|| propagation::received(&parts.headers));
        Ok(context)
    }
}

/// Accepts or makes both ids, shows them to the handlers and returns them with the answer.
pub(crate) async fn identify(mut request: Request, next: Next) -> Response {
    let context = RequestContext::of(request.headers());
    request.extensions_mut().insert(context.clone());
    let mut response = next.run(request).await;
    for (name, value) in [
        (REQUEST_ID, &context.request_id),
        (TRANSACTION_ID, &context.transaction_id),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// A caller's id goes to log lines, database columns and headers of brokers: short, and of harmless characters.
fn sane(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    let harmless =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '+' | '=');
    (!value.is_empty() && value.len() <= 128 && value.chars().all(harmless))
        .then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_sane_id_and_replaces_any_other() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("checkout-17"));
        headers.insert(TRANSACTION_ID, HeaderValue::from_static("a b"));
        let context = RequestContext::of(&headers);
        assert_eq!(context.request_id, "checkout-17");
        assert!(Uuid::parse_str(&context.transaction_id).is_ok());

        headers.insert(REQUEST_ID, HeaderValue::from_str(&"x".repeat(129)).unwrap());
        assert!(Uuid::parse_str(&RequestContext::of(&headers).request_id).is_ok());
    }
}
