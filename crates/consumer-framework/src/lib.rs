//! Typed event handlers, ordered per key and idempotent: routes, retries, dead letters, inbox and outbox.
