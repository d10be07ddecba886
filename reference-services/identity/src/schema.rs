//! The service's tables.

use commerce_consumer_framework::storage::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration::new(
    1,
    "CREATE TABLE organizations (
        organization_id UUID PRIMARY KEY,
        name TEXT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL
    );
    CREATE TABLE clients (
        client_id TEXT PRIMARY KEY,
        organization_id UUID REFERENCES organizations (organization_id),
        name TEXT NOT NULL,
        roles JSONB NOT NULL,
        secret_digest BYTEA NOT NULL,
        created_at TIMESTAMPTZ NOT NULL
    );
    CREATE INDEX clients_of_organization ON clients (organization_id, client_id);
    CREATE TABLE users (
        user_id UUID PRIMARY KEY,
        organization_id UUID NOT NULL REFERENCES organizations (organization_id),
        email TEXT NOT NULL,
        name TEXT NOT NULL,
        roles JSONB NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        UNIQUE (organization_id, email)
    );
    CREATE INDEX users_of_organization ON users (organization_id, user_id);
    CREATE TABLE signing_keys (
        kid TEXT PRIMARY KEY,
        predecessor TEXT NOT NULL UNIQUE,
        pkcs8 BYTEA NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        active_from TIMESTAMPTZ NOT NULL
    );",
)];
