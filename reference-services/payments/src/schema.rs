//! The tables.

use commerce_consumer_framework::storage::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration::new(
    1,
    "CREATE TABLE payments (
        id UUID NOT NULL PRIMARY KEY,
        organization_id UUID NOT NULL,
        order_id UUID NOT NULL,
        attempt BIGINT NOT NULL,
        amount_minor BIGINT NOT NULL,
        currency TEXT NOT NULL,
        method TEXT NOT NULL,
        installments BIGINT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('PENDING', 'CONFIRMED', 'REJECTED')),
        reason TEXT,
        provider_reference TEXT NOT NULL,
        transaction_id TEXT,
        trace_parent TEXT,
        created_at TIMESTAMPTZ NOT NULL,
        settled_at TIMESTAMPTZ,
        checked_at TIMESTAMPTZ NOT NULL,
        UNIQUE (order_id, attempt)
    );
    CREATE INDEX payments_of_organization ON payments (organization_id, created_at, id);
    CREATE INDEX payments_to_reconcile ON payments (checked_at) WHERE status = 'PENDING';",
)];
