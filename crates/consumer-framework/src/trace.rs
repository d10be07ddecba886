//! One trace from the publisher through the handler to the events that the handler makes.
//!
//! The envelope carries W3C trace context by definition, whatever propagator a program has
//! configured for its other protocols. Without the feature `opentelemetry` the context of the
//! consumed event is passed on as it is.

use commerce_contracts::CloudEvent;

#[cfg(feature = "opentelemetry")]
pub(crate) use self::otel::{adopt_parent, stamp_current};

#[cfg(not(feature = "opentelemetry"))]
pub(crate) fn adopt_parent(_span: &tracing::Span, _event: &CloudEvent) {}

#[cfg(not(feature = "opentelemetry"))]
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(
        dead_code,
        reason = "only the outbox stamps events that were not caused by an event"
    )
)]
pub(crate) fn stamp_current(event: CloudEvent) -> CloudEvent {
    event
}

/// An event made while `consumed` was handled: the current trace, or else the one of `consumed`.
pub(crate) fn continue_from(consumed: &CloudEvent, event: CloudEvent) -> CloudEvent {
    #[cfg(feature = "opentelemetry")]
    let event = stamp_current(event);
    let (None, Some(parent)) = (event.trace_parent(), consumed.trace_parent()) else {
        return event;
    };
    let stamped = event.clone().with_trace_parent(parent);
    let stamped = match consumed.trace_state() {
        Some(state) => stamped.and_then(|event| event.with_trace_state(state)),
        None => stamped,
    };
    // What was readable in one envelope fits into another; if not, the event matters more.
    stamped.unwrap_or(event)
}

#[cfg(feature = "opentelemetry")]
mod otel {
    use std::str::FromStr;

    use commerce_contracts::CloudEvent;
    use opentelemetry::Context;
    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    };
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    /// Makes the span a child of the trace that the event belongs to.
    pub(crate) fn adopt_parent(span: &Span, event: &CloudEvent) {
        let parent = event.trace_parent().and_then(parse);
        let Some((trace_id, span_id, flags)) = parent else {
            return;
        };
        let state = event
            .trace_state()
            .and_then(|text| TraceState::from_str(text).ok());
        let remote = SpanContext::new(trace_id, span_id, flags, true, state.unwrap_or_default());
        if remote.is_valid() {
            // It fails where no OpenTelemetry layer listens, and then there is no trace to continue.
            let _ = span.set_parent(Context::new().with_remote_span_context(remote));
        }
    }

    /// Gives the event the current trace, unless it has one.
    pub(crate) fn stamp_current(event: CloudEvent) -> CloudEvent {
        if event.trace_parent().is_some() {
            return event;
        }
        let context = Span::current().context();
        let span = context.span();
        let current = span.span_context();
        if !current.is_valid() {
            return event;
        }
        let parent = format!(
            "00-{}-{}-{:02x}",
            current.trace_id(),
            current.span_id(),
            current.trace_flags() & TraceFlags::SAMPLED
        );
        let mut stamped = event.clone().with_trace_parent(parent);
        let state = current.trace_state().header();
        if !state.is_empty() {
            stamped = stamped.and_then(|event| event.with_trace_state(state));
        }
        stamped.unwrap_or(event)
    }

    /// `00-<trace id>-<span id>-<flags>`; the envelope has checked the form.
    fn parse(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
        let mut parts = text.split('-').skip(1);
        let trace_id = TraceId::from_hex(parts.next()?).ok()?;
        let span_id = SpanId::from_hex(parts.next()?).ok()?;
        let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
        Some((
            trace_id,
            span_id,
            TraceFlags::new(flags) & TraceFlags::SAMPLED,
        ))
    }
}
