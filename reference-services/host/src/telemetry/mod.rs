//! Logs, traces and metrics, set up once per process.

pub(crate) mod metrics;
pub mod propagation;
pub(crate) mod requests;
pub(crate) mod sampling;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::settings::{LogFormat, Settings};

/// Writes out what is left of the traces when it goes; keep it until the process ends.
#[derive(Debug)]
#[must_use = "traces still in memory are sent when this is dropped"]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Sets up logging and tracing for this process.
///
/// Spans always carry W3C trace context, so that log lines, events and outgoing requests of one trace can be told
/// together; they are exported only when `otlp` is set. A process that has a subscriber already (a test) keeps it.
/// Must run inside a Tokio runtime, which the exporter uses.
pub fn init(service: &str, settings: &Settings) -> anyhow::Result<Telemetry> {
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .build();
    let mut provider = SdkTracerProvider::builder().with_resource(resource);
    if let Some(endpoint) = &settings.otlp {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint.as_str())
            .build()?;
        provider = provider.with_batch_exporter(exporter);
    }
    let provider = provider.build();
    let filter = filter(settings)?;
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("commerce-host"));
    let logs = match settings.log {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Pretty => fmt::layer().with_target(false).boxed(),
    };
    let installed = tracing_subscriber::registry()
        .with(filter)
        .with(traces)
        .with(logs)
        .try_init();
    if installed.is_err() {
        tracing::debug!("this process has a tracing subscriber already; it is kept");
    }
    Ok(Telemetry { provider })
}

fn filter(settings: &Settings) -> anyhow::Result<EnvFilter> {
    match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(directives) if !directives.is_empty() => Ok(EnvFilter::try_new(directives)?),
        _ => Ok(EnvFilter::try_new(&settings.log_filter)?),
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // The process ends: there is nobody left to whom a failure could be told but the console.
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}
