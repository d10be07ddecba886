//! Typed event handlers, ordered per key and idempotent: routes, retries, dead letters, inbox and outbox.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod storage;
