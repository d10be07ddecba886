//! Measurements, scraped by Prometheus.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use crate::health::tasks::TaskState;

/// Where services record what they measure; cheap to clone.
///
/// Each instance is a registry of its own, not a global, so that tests and several hosts in one process do not mix.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    // Keeps the pipeline between the meter and the registry alive.
    _provider: SdkMeterProvider,
    meter: Meter,
    request_duration: Histogram<f64>,
}

impl Metrics {
    /// An empty registry for a process called `service`.
    pub fn new(service: &str) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()?;
        let resource = Resource::builder()
            .with_service_name(service.to_owned())
            .build();
        let provider = SdkMeterProvider::builder()
            .with_reader(exporter)
            .with_resource(resource)
            .build();
        let meter = provider.meter("commerce");
        let request_duration = meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("Time from a request's head to its answer's head.")
            // The boundaries that the semantic conventions recommend.
            .with_boundaries(vec![
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
            ])
            .build();
        Ok(Self(Arc::new(Inner {
            registry,
            _provider: provider,
            meter,
            request_duration,
        })))
    }

    /// Makes a service's own instruments.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    pub(crate) fn request_duration(&self) -> &Histogram<f64> {
        &self.0.request_duration
    }

    /// Shows how often a task was started again.
    pub(crate) fn observe_task(&self, task: &Arc<TaskState>) {
        let task = task.clone();
        let name = KeyValue::new("task", task.name().to_owned());
        self.0
            .meter
            .u64_observable_counter("commerce.task.restarts")
            .with_description("How often a background task failed and was started again.")
            .with_callback(move |observer| {
                observer.observe(task.restarts(), std::slice::from_ref(&name))
            })
            .build();
    }

    /// Everything measured so far, in Prometheus' text format.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0.registry.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_was_recorded() {
        let metrics = Metrics::new("test").unwrap();
        metrics.request_duration().record(0.02, &[]);
        metrics.meter().u64_counter("mails").build().add(3, &[]);
        let text = metrics.render().unwrap();
        assert!(
            text.contains("http_server_request_duration_seconds_count 1"),
            "{text}"
        );
        assert!(text.contains("mails_total 3"), "{text}");
    }
}
