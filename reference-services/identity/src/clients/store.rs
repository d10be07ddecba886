//! Clients in the database.

use chrono::{DateTime, Utc};
use commerce_consumer_framework::storage::{Database, Error};
use serde::Serialize;
use serde_json::json;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

/// A client, without its secret.
#[derive(Clone, Debug, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    clippy::struct_field_names,
    reason = "the names of the columns, and those on the wire"
)]
pub(crate) struct Client {
    pub(super) client_id: String,
    pub(super) organization_id: Uuid,
    pub(super) name: String,
    #[schema(value_type = Vec<String>)]
    pub(super) roles: Json<Vec<String>>,
    pub(super) created_at: DateTime<Utc>,
}

/// What the token endpoint needs to know about a client.
#[derive(sqlx::FromRow)]
pub(crate) struct Credentials {
    pub(crate) organization_id: Option<Uuid>,
    pub(crate) roles: Json<Vec<String>>,
    pub(crate) secret_digest: Vec<u8>,
}

/// Adds a client. Tells whether its id was free.
pub(super) async fn insert(
    database: &Database,
    client: &Client,
    secret_digest: Vec<u8>,
) -> Result<bool, Error> {
    let inserted = database
        .query(
            "INSERT INTO clients (client_id, organization_id, name, roles, secret_digest, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (client_id) DO NOTHING",
        )
        .bind(&client.client_id)
        .bind(client.organization_id)
        .bind(&client.name)
        .bind(json!(client.roles))
        .bind(secret_digest)
        .bind(client.created_at)
        .execute()
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn find(
    database: &Database,
    organization: Uuid,
    client_id: &str,
) -> Result<Option<Client>, Error> {
    database
        .query(
            "SELECT client_id, organization_id, name, roles, created_at FROM clients
             WHERE organization_id = $1 AND client_id = $2",
        )
        .bind(organization)
        .bind(client_id)
        .fetch_optional()
        .await
}

/// Up to `limit` clients of an organization after one of that id.
pub(super) async fn list(
    database: &Database,
    organization: Uuid,
    after: &str,
    limit: u32,
) -> Result<Vec<Client>, Error> {
    database
        .query(
            "SELECT client_id, organization_id, name, roles, created_at FROM clients
             WHERE organization_id = $1 AND client_id > $2 ORDER BY client_id LIMIT $3",
        )
        .bind(organization)
        .bind(after)
        .bind(limit)
        .fetch_all()
        .await
}

/// Takes a client away. Tells whether it was there.
pub(super) async fn delete(
    database: &Database,
    organization: Uuid,
    client_id: &str,
) -> Result<bool, Error> {
    let deleted = database
        .query("DELETE FROM clients WHERE organization_id = $1 AND client_id = $2")
        .bind(organization)
        .bind(client_id)
        .execute()
        .await?;
    Ok(deleted == 1)
}

/// Any client of the platform, by its id.
pub(crate) async fn credentials(
    database: &Database,
    client_id: &str,
) -> Result<Option<Credentials>, Error> {
    database
        .query("SELECT organization_id, roles, secret_digest FROM clients WHERE client_id = $1")
        .bind(client_id)
        .fetch_optional()
        .await
}
