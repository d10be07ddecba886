//! One span, one log line and one measurement per request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::KeyValue;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::metrics::Metrics;
use super::propagation;
use crate::http::context::RequestContext;

/// Observes a request. The route's template names span and measurement, so that their number stays small and no
/// identifier of a customer becomes a label.
pub(crate) async fn observe(
    State(metrics): State<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().as_str().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let context = request.extensions().get::<RequestContext>();
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        request_id = context.map(|context| context.request_id.as_str()),
        transaction_id = context.map(|context| context.transaction_id.as_str()),
    );
    // Without the OpenTelemetry layer (in tests) there is no parent to set.
    let _ = span.set_parent(propagation::extract(request.headers()));

    let response = next.run(request).instrument(span.clone()).await;

    let status = response.status();
    let elapsed = started.elapsed();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    metrics.request_duration().record(
        elapsed.as_secs_f64(),
        &[
            KeyValue::new("http.request.method", known_method(&method)),
            KeyValue::new("http.route", route.clone()),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
        ],
    );
    let _in_span = span.entered();
    let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    if route.starts_with("/health/") || route == "/metrics" {
        tracing::debug!(status = status.as_u16(), duration_ms, "request finished");
    } else {
        tracing::info!(status = status.as_u16(), duration_ms, "request finished");
    }
    response
}

/// A caller may invent methods without end; a label may not.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("_OTHER")
}
