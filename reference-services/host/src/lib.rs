//! Lifecycle of a service: configuration, telemetry, health, HTTP server, drain.
