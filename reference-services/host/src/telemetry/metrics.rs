//! Measurements, scraped by Prometheus.

use std::sync::{Arc, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use super::sampling::Lags;
use crate::health::consumption::Consumption;
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
                observer.observe(task.restarts(), std::slice::from_ref(&name));
            })
            .build();
    }

    /// Shows the counters of a consumer and what waits for it on the bus.
    pub(crate) fn observe_consumption(&self, consumption: &Arc<Consumption>) {
        let meter = &self.0.meter;
        let counted = consumption.clone();
        meter
            .u64_observable_counter("commerce.consumer.deliveries")
            .with_description("Deliveries by what became of them, since the consumer was started.")
            .with_callback(move |observer| {
                let stats = counted.stats();
                for (outcome, count) in [
                    ("handled", stats.handled()),
                    ("duplicate", stats.duplicates()),
                    ("ignored", stats.ignored()),
                    ("retry", stats.retries()),
                    ("deferral", stats.deferrals()),
                    ("dead_letter", stats.dead_lettered()),
                    ("panic", stats.panics()),
                    ("timeout", stats.timeouts()),
                    ("settle_error", stats.settle_errors()),
                ] {
                    let consumer = KeyValue::new("consumer", counted.name().to_owned());
                    observer.observe(count, &[consumer, KeyValue::new("outcome", outcome)]);
                }
            })
            .build();
        let waiting = consumption.clone();
        meter
            .u64_observable_gauge("commerce.bus.backlog")
            .with_description("Messages before a subscription, by state.")
            .with_callback(move |observer| {
                for (topic, backlog) in waiting.backlog() {
                    for (state, count) in [
                        ("waiting", backlog.waiting),
                        ("in_flight", backlog.in_flight),
                        ("dead", backlog.dead),
                    ] {
                        let labels = [
                            KeyValue::new("topic", topic.to_string()),
                            KeyValue::new("subscription", waiting.name().to_owned()),
                            KeyValue::new("state", state),
                        ];
                        observer.observe(count, &labels);
                    }
                }
            })
            .build();
    }

    /// Shows how far the relays are behind.
    pub(crate) fn observe_outboxes(&self, lags: &Lags) {
        let meter = &self.0.meter;
        let name = |database: &str| [KeyValue::new("database", database.to_owned())];
        let counts = lags.clone();
        meter
            .u64_observable_gauge("commerce.outbox.waiting")
            .with_description("Events stored and not published yet.")
            .with_callback(move |observer| {
                for (database, lag) in counts.lock().unwrap_or_else(PoisonError::into_inner).iter()
                {
                    observer.observe(lag.waiting, &name(database));
                }
            })
            .build();
        let ages = lags.clone();
        meter
            .f64_observable_gauge("commerce.outbox.lag")
            .with_unit("s")
            .with_description("Age of the oldest event that is not published yet.")
            .with_callback(move |observer| {
                for (database, lag) in ages.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    observer.observe(lag.seconds, &name(database));
                }
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
