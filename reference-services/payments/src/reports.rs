//! Counts what the provider reports, by the way it came and what it changed.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

#[derive(Clone, Debug)]
pub(crate) struct Reports(Counter<u64>);

impl Reports {
    pub(crate) fn new(meter: &Meter) -> Self {
        let counter = meter.u64_counter("payments.provider.reports");
        Self(
            counter
                .with_description("What the payment provider reported, by source and outcome.")
                .build(),
        )
    }

    pub(crate) fn count(&self, source: &'static str, outcome: &'static str) {
        self.0.add(
            1,
            &[
                KeyValue::new("source", source),
                KeyValue::new("outcome", outcome),
            ],
        );
    }
}
