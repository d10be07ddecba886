//! `/organizations/{organization_id}/users`.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use commerce_host::hal::Resource;
use commerce_host::{Json, Problem};
use commerce_identity_client::Principal;
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::store::{self, User};
use crate::Identity;
use crate::organizations::{check_name, require_member};
use crate::page::{self, Page};
use crate::permissions::{USER_CREATE, USER_READ};

pub(crate) fn routes(identity: &Identity) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read))
        .with_state(identity.clone())
}

/// A new user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// The e-mail address: one user of it in an organization.
    email: String,
    /// What the user is called.
    name: String,
    /// What the user may do. Nobody gives a role that permits more than he may do himself.
    roles: Vec<String>,
}

/// Adds a user.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/users", tag = "users",
    params(("organization_id" = Uuid, Path)), request_body = NewUser,
    responses(
        (status = 201, body = Resource<User>),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "The e-mail address is taken", body = Problem),
        (status = 422, body = Problem),
    ),
)]
async fn create(
    State(identity): State<Identity>,
    principal: Principal,
    Path(organization_id): Path<Uuid>,
    Json(new): Json<NewUser>,
) -> Result<Response, Problem> {
    require_member(&identity, &principal, &USER_CREATE, organization_id).await?;
    identity.roles.check_grant(&principal, &new.roles)?;
    let user = User {
        user_id: Uuid::now_v7(),
        organization_id,
        email: check_email(&new.email)?,
        name: check_name(&new.name)?,
        roles: sqlx::types::Json(new.roles),
        created_at: Utc::now(),
    };
    if !store::insert(&identity.database, &user).await? {
        return Err(Problem::conflict(
            "the organization has a user of this e-mail address already",
        ));
    }
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, path(&user))],
        show(user),
    )
        .into_response())
}

/// The users of an organization.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/users", tag = "users",
    params(("organization_id" = Uuid, Path), Page),
    responses((status = 200, body = Object), (status = 403, body = Problem), (status = 404, body = Problem)),
)]
async fn list(
    State(identity): State<Identity>,
    principal: Principal,
    Path(organization_id): Path<Uuid>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    require_member(&identity, &principal, &USER_READ, organization_id).await?;
    let limit = page.limit()?;
    let rows = store::list(
        &identity.database,
        organization_id,
        page::uuid(&page)?,
        limit + 1,
    )
    .await?;
    let place = format!("/organizations/{organization_id}/users");
    Ok(page::show(
        (&place, "users"),
        limit,
        rows,
        |row| row.user_id.to_string(),
        show,
    )
    .into_response())
}

/// One user.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/users/{user_id}", tag = "users",
    params(("organization_id" = Uuid, Path), ("user_id" = Uuid, Path)),
    responses((status = 200, body = Resource<User>), (status = 403, body = Problem), (status = 404, body = Problem)),
)]
async fn read(
    State(identity): State<Identity>,
    principal: Principal,
    Path((organization_id, user_id)): Path<(Uuid, Uuid)>,
) -> Result<Response, Problem> {
    require_member(&identity, &principal, &USER_READ, organization_id).await?;
    let user = store::find(&identity.database, organization_id, user_id).await?;
    Ok(
        show(user.ok_or_else(|| Problem::not_found("the organization has no such user"))?)
            .into_response(),
    )
}

/// Enough to catch slips; whether an address works, only a message to it can tell. Case does not tell users apart.
fn check_email(email: &str) -> Result<String, Problem> {
    let plausible = email.len() <= 254
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
    if plausible {
        Ok(email.to_lowercase())
    } else {
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .at("/email", "expected an address such as ana@example.com"))
    }
}

fn path(user: &User) -> String {
    format!(
        "/organizations/{}/users/{}",
        user.organization_id, user.user_id
    )
}

fn show(user: User) -> Resource<User> {
    let path = path(&user);
    Resource::new(user).link("self", path)
}
