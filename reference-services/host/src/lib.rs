//! Lifecycle of a service: configuration, telemetry, health, HTTP server, drain. It knows no domain.
//!
//! A service is a library with a `Config` of its own and one function; its `main.rs` is one line:
//!
//! ```no_run
//! use commerce_host::{Resources, Service};
//! use utoipa_axum::{router::OpenApiRouter, routes};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(default)]
//! struct Config { greeting: String }
//!
//! impl Default for Config {
//!     fn default() -> Self { Self { greeting: "hello".into() } }
//! }
//!
//! async fn service(config: Config, resources: &Resources) -> anyhow::Result<Service> {
//!     #[utoipa::path(get, path = "/greeting", responses((status = 200, body = String)))]
//!     async fn greet(axum::extract::State(greeting): axum::extract::State<String>) -> String { greeting }
//!
//!     let routes = OpenApiRouter::new().routes(routes!(greet)).with_state(config.greeting);
//!     Ok(Service::new("greeter").routes(routes).link("greeting", "/greeting"))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     commerce_host::main("greeter", service)
//! }
//! ```

mod connections;
mod consumers;
mod entry;
mod health;
mod host;
mod http;
mod namespace;
mod private;
mod resources;
mod server;
mod service;
pub mod settings;
mod shutdown;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod unheard;

pub use crate::consumers::Handle;
pub use crate::entry::{main, main_checked};
pub use crate::host::{Host, Running};
pub use crate::http::context::{REQUEST_ID, RequestContext, TRANSACTION_ID};
pub use crate::http::json::Json;
pub use crate::http::problem::{InvalidPart, Problem};
pub use crate::http::{hal, json, problem};
pub use crate::namespace::namespaced;
pub use crate::private::keep_files_private;
pub use crate::resources::{Resources, local_url};
pub use crate::service::Service;
pub use crate::settings::Settings;
pub use crate::shutdown::{Drained, Shutdown, shutdown_on_signal};
pub use crate::telemetry::metrics::Metrics;
pub use crate::telemetry::{Telemetry, init as init_telemetry, propagation};
