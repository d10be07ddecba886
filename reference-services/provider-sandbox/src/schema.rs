//! The tables.

use commerce_consumer_framework::storage::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration::new(
    1,
    "CREATE TABLE charges (
        id UUID NOT NULL PRIMARY KEY,
        idempotency_key TEXT NOT NULL UNIQUE,
        reference TEXT NOT NULL,
        amount_minor BIGINT NOT NULL,
        currency TEXT NOT NULL,
        method TEXT NOT NULL,
        installments BIGINT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        outcome TEXT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        settles_at TIMESTAMPTZ NOT NULL
    );
    CREATE INDEX charges_to_settle ON charges (settles_at) WHERE status = 'processing';
    CREATE INDEX charges_by_reference ON charges (reference);
    CREATE TABLE webhooks (
        id UUID NOT NULL PRIMARY KEY,
        webhook_id TEXT NOT NULL,
        charge_id UUID NOT NULL,
        body TEXT NOT NULL,
        attempts BIGINT NOT NULL,
        due_at TIMESTAMPTZ NOT NULL
    );
    CREATE INDEX webhooks_due ON webhooks (due_at);",
)];
