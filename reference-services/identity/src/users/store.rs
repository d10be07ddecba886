//! Users in the database.

use chrono::{DateTime, Utc};
use commerce_consumer_framework::storage::{Database, Error};
use serde::Serialize;
use serde_json::json;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

/// A user.
#[derive(Clone, Debug, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    clippy::struct_field_names,
    reason = "the names of the columns, and those on the wire"
)]
pub(crate) struct User {
    pub(super) user_id: Uuid,
    pub(super) organization_id: Uuid,
    pub(super) email: String,
    pub(super) name: String,
    #[schema(value_type = Vec<String>)]
    pub(super) roles: Json<Vec<String>>,
    pub(super) created_at: DateTime<Utc>,
}

/// Adds a user. Tells whether neither id nor address was taken in the organization.
pub(super) async fn insert(database: &Database, user: &User) -> Result<bool, Error> {
    let inserted = database
        .query(
            "INSERT INTO users (user_id, organization_id, email, name, roles, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(user.user_id)
        .bind(user.organization_id)
        .bind(&user.email)
        .bind(&user.name)
        .bind(json!(user.roles))
        .bind(user.created_at)
        .execute()
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn find(
    database: &Database,
    organization: Uuid,
    user_id: Uuid,
) -> Result<Option<User>, Error> {
    database
        .query(
            "SELECT user_id, organization_id, email, name, roles, created_at FROM users
             WHERE organization_id = $1 AND user_id = $2",
        )
        .bind(organization)
        .bind(user_id)
        .fetch_optional()
        .await
}

/// Up to `limit` users of an organization after one of that id.
pub(super) async fn list(
    database: &Database,
    organization: Uuid,
    after: Uuid,
    limit: u32,
) -> Result<Vec<User>, Error> {
    database
        .query(
            "SELECT user_id, organization_id, email, name, roles, created_at FROM users
             WHERE organization_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3",
        )
        .bind(organization)
        .bind(after)
        .bind(limit)
        .fetch_all()
        .await
}
