//! Organizations in the database.

use chrono::{DateTime, Utc};
use commerce_consumer_framework::storage::{Database, Error};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An organization.
#[derive(Clone, Debug, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    clippy::struct_field_names,
    reason = "the names of the columns, and those on the wire"
)]
pub(crate) struct Organization {
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    pub(crate) created_at: DateTime<Utc>,
}

/// Adds an organization. Tells whether its id was free.
pub(super) async fn insert(
    database: &Database,
    organization: &Organization,
) -> Result<bool, Error> {
    let inserted = database
        .query(
            "INSERT INTO organizations (organization_id, name, created_at)
             VALUES ($1, $2, $3) ON CONFLICT (organization_id) DO NOTHING",
        )
        .bind(organization.organization_id)
        .bind(&organization.name)
        .bind(organization.created_at)
        .execute()
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn find(
    database: &Database,
    organization_id: Uuid,
) -> Result<Option<Organization>, Error> {
    database
        .query("SELECT organization_id, name, created_at FROM organizations WHERE organization_id = $1")
        .bind(organization_id)
        .fetch_optional()
        .await
}

/// Up to `limit` organizations after one of that id; one of them only, where `own` is given.
pub(super) async fn list(
    database: &Database,
    own: Option<Uuid>,
    after: Uuid,
    limit: u32,
) -> Result<Vec<Organization>, Error> {
    match own {
        Some(own) => Ok(find(database, own)
            .await?
            .into_iter()
            .filter(|own| own.organization_id > after)
            .collect()),
        None => {
            database
                .query(
                    "SELECT organization_id, name, created_at FROM organizations
                     WHERE organization_id > $1 ORDER BY organization_id LIMIT $2",
                )
                .bind(after)
                .bind(limit)
                .fetch_all()
                .await
        }
    }
}
