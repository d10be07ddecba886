//! The tables of the inbox and the outbox.

use super::migration::Migration;

/// The component under which this crate's migrations are recorded.
pub(super) const COMPONENT: &str = "commerce-consumer-framework";

pub(super) const MIGRATIONS: &[Migration] = &[
    Migration::new(
        1,
        "CREATE TABLE inbox (
            subscription TEXT NOT NULL,
            source TEXT NOT NULL,
            event_id TEXT NOT NULL,
            handled_at TIMESTAMPTZ NOT NULL,
            PRIMARY KEY (subscription, source, event_id)
        );
        CREATE INDEX inbox_age ON inbox (subscription, handled_at);",
    ),
    // A lane holds the entries that must leave in order: a topic and a key, or one entry alone.
    Migration::per_dialect(
        2,
        "CREATE TABLE outbox (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            topic TEXT NOT NULL,
            lane TEXT NOT NULL,
            event TEXT NOT NULL,
            appended_at TIMESTAMPTZ NOT NULL
        );",
        "CREATE TABLE outbox (
            position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            topic TEXT NOT NULL,
            lane TEXT NOT NULL,
            event TEXT NOT NULL,
            appended_at TIMESTAMPTZ NOT NULL
        );",
    ),
    Migration::new(
        3,
        "CREATE TABLE outbox_lease (
            name TEXT PRIMARY KEY,
            holder UUID NOT NULL,
            expires_ms BIGINT NOT NULL
        );",
    ),
];
