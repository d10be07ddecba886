//! The tables.

use commerce_consumer_framework::storage::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration::new(
        1,
        "CREATE TABLE orders (
        order_id UUID NOT NULL PRIMARY KEY,
        organization_id UUID NOT NULL,
        reference TEXT,
        state TEXT NOT NULL CHECK (state IN ('CREATED', 'CHECKOUT', 'RECEIVED', 'PAYMENT_PENDING', 'CANCELLED')),
        attempt BIGINT NOT NULL,
        version BIGINT NOT NULL,
        customer JSONB NOT NULL,
        items JSONB NOT NULL,
        freight_minor BIGINT NOT NULL,
        total_minor BIGINT NOT NULL,
        currency TEXT NOT NULL,
        payment JSONB,
        created_at TIMESTAMPTZ NOT NULL,
        updated_at TIMESTAMPTZ NOT NULL
    );
    CREATE INDEX orders_of_organization ON orders (organization_id, created_at, order_id);
    CREATE INDEX orders_by_state ON orders (organization_id, state, created_at, order_id);

    CREATE TABLE order_changes (
        order_id UUID NOT NULL REFERENCES orders (order_id),
        number BIGINT NOT NULL,
        from_state TEXT,
        to_state TEXT NOT NULL,
        attempt BIGINT NOT NULL,
        changed_at TIMESTAMPTZ NOT NULL,
        cause TEXT NOT NULL,
        transaction_id TEXT,
        reason TEXT,
        idempotency_key TEXT,
        PRIMARY KEY (order_id, number)
    );",
    ),
    // What tells a request that comes again from another one under the same key or id. Orders from before have none of it.
    Migration::new(
        2,
        "ALTER TABLE orders ADD COLUMN idempotency_key TEXT;
    ALTER TABLE orders ADD COLUMN request_digest BYTEA;
    CREATE UNIQUE INDEX orders_by_idempotency_key ON orders (organization_id, idempotency_key);
    ALTER TABLE order_changes ADD COLUMN operation TEXT;
    ALTER TABLE order_changes ADD COLUMN request_digest BYTEA;",
    ),
];
