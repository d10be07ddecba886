//! W3C trace context, in and out.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The trace context that a request brought along.
pub(crate) fn extract(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// `traceparent` as received, when it is well-formed.
pub(crate) fn received(headers: &HeaderMap) -> Option<String> {
    trace_parent(extract(headers).span().span_context())
}

/// `traceparent` of the current span; `None` where telemetry has not been set up.
pub fn current() -> Option<String> {
    trace_parent(tracing::Span::current().context().span().span_context())
}

fn trace_parent(span: &SpanContext) -> Option<String> {
    span.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_over_a_well_formed_trace_parent_only() {
        let mut headers = HeaderMap::new();
        let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", given.parse().unwrap());
        assert_eq!(received(&headers).as_deref(), Some(given));
        headers.insert("traceparent", "00-nonsense".parse().unwrap());
        assert_eq!(received(&headers), None);
    }
}
