//! `/organizations`.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use commerce_host::hal::Resource;
use commerce_host::{Json, Problem};
use commerce_identity_client::{Permission, Principal};
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::store::{self, Organization};
use super::{check_name, require_member, require_operator};
use crate::Identity;
use crate::page::{self, Page};
use crate::permissions::{CLIENT_READ, ORGANIZATION_CREATE, ORGANIZATION_READ, USER_READ};

pub(crate) fn routes(identity: &Identity) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read))
        .with_state(identity.clone())
}

/// A new organization.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    /// Chosen by the caller, so that the same request sent twice makes one organization; else chosen here.
    organization_id: Option<Uuid>,
    /// What it is called.
    name: String,
}

/// Adds an organization.
#[utoipa::path(
    post, path = "/organizations", tag = "organizations", request_body = NewOrganization,
    responses(
        (status = 201, body = Resource<Organization>),
        (status = 303, description = "It was added before; Location names it"),
        (status = 403, body = Problem),
        (status = 422, body = Problem),
    ),
)]
async fn create(
    State(identity): State<Identity>,
    principal: Principal,
    Json(new): Json<NewOrganization>,
) -> Result<Response, Problem> {
    require_operator(&principal, &ORGANIZATION_CREATE)?;
    let organization = Organization {
        organization_id: new.organization_id.unwrap_or_else(Uuid::now_v7),
        name: check_name(&new.name)?,
        created_at: Utc::now(),
    };
    let location = (header::LOCATION, path(organization.organization_id));
    if store::insert(&identity.database, &organization).await? {
        Ok((
            StatusCode::CREATED,
            [location],
            show(&principal, organization),
        )
            .into_response())
    } else {
        Ok((StatusCode::SEE_OTHER, [location]).into_response())
    }
}

/// The organizations that the caller acts for: its own, or all of them for operators.
#[utoipa::path(
    get, path = "/organizations", tag = "organizations", params(Page),
    responses((status = 200, body = Object), (status = 403, body = Problem)),
)]
async fn list(
    State(identity): State<Identity>,
    principal: Principal,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    principal.require(&ORGANIZATION_READ)?;
    let limit = page.limit()?;
    let after = page::uuid(&page)?;
    let rows = store::list(&identity.database, principal.organization, after, limit + 1).await?;
    let place = ("/organizations", "organizations");
    let cursor = |row: &Organization| row.organization_id.to_string();
    Ok(page::show(place, limit, rows, cursor, |row| show(&principal, row)).into_response())
}

/// One organization.
#[utoipa::path(
    get, path = "/organizations/{organization_id}", tag = "organizations",
    params(("organization_id" = Uuid, Path)),
    responses((status = 200, body = Resource<Organization>), (status = 403, body = Problem), (status = 404, body = Problem)),
)]
async fn read(
    State(identity): State<Identity>,
    principal: Principal,
    Path(organization_id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization =
        require_member(&identity, &principal, &ORGANIZATION_READ, organization_id).await?;
    Ok(show(&principal, organization).into_response())
}

fn path(organization_id: Uuid) -> String {
    format!("/organizations/{organization_id}")
}

fn show(principal: &Principal, organization: Organization) -> Resource<Organization> {
    let path = path(organization.organization_id);
    let offered = |permission: &Permission, rest: &str| {
        principal
            .permissions
            .contains(permission)
            .then(|| format!("{path}{rest}"))
    };
    let clients = offered(&CLIENT_READ, "/clients{?cursor,limit}");
    let users = offered(&USER_READ, "/users{?cursor,limit}");
    Resource::new(organization)
        .link_if("clients", clients)
        .link_if("users", users)
        .link("self", path)
}
