//! `/organizations/{organization_id}/clients`.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use commerce_host::hal::Resource;
use commerce_host::{Json, Problem};
use commerce_identity_client::Principal;
use http::{StatusCode, header};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::store::{self, Client};
use super::{CLIENT_ID_RULE, is_client_id};
use crate::organizations::{check_name, require_member};
use crate::page::{self, Page};
use crate::permissions::{CLIENT_CREATE, CLIENT_DELETE, CLIENT_READ};
use crate::{Identity, secret};

pub(crate) fn routes(identity: &Identity) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, delete))
        .with_state(identity.clone())
}

/// A new client.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewClient {
    /// Chosen by the caller; else chosen here.
    client_id: Option<String>,
    /// What it is called.
    name: String,
    /// What it may do. Nobody gives a role that permits more than he may do himself.
    roles: Vec<String>,
}

/// A client that was added just now.
#[derive(Serialize, ToSchema)]
struct ClientWithSecret {
    #[serde(flatten)]
    client: Client,
    /// Shown this one time.
    client_secret: String,
}

/// Adds a client. Its secret is in the answer and cannot be had again.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/clients", tag = "clients",
    params(("organization_id" = Uuid, Path)), request_body = NewClient,
    responses(
        (status = 201, body = Resource<ClientWithSecret>),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "The id is taken", body = Problem),
        (status = 422, body = Problem),
    ),
)]
async fn create(
    State(identity): State<Identity>,
    principal: Principal,
    Path(organization_id): Path<Uuid>,
    Json(new): Json<NewClient>,
) -> Result<Response, Problem> {
    require_member(&identity, &principal, &CLIENT_CREATE, organization_id).await?;
    identity.roles.check_grant(&principal, &new.roles)?;
    let client_id = new.client_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    if !is_client_id(&client_id) {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .at("/client_id", format!("expected {CLIENT_ID_RULE}")));
    }
    let client = Client {
        client_id,
        organization_id,
        name: check_name(&new.name)?,
        roles: sqlx::types::Json(new.roles),
        created_at: Utc::now(),
    };
    let secret = secret::generate()?;
    let digest = secret::digest_of(secret.expose_secret());
    if !store::insert(&identity.database, &client, digest).await? {
        return Err(Problem::conflict("a client of this id exists already"));
    }
    let path = path(&client);
    let client = ClientWithSecret {
        client,
        client_secret: secret.expose_secret().to_owned(),
    };
    let headers = [
        (header::LOCATION, path.clone()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((
        StatusCode::CREATED,
        headers,
        Resource::new(client).link("self", path),
    )
        .into_response())
}

/// The clients of an organization.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/clients", tag = "clients",
    params(("organization_id" = Uuid, Path), Page),
    responses((status = 200, body = Object), (status = 403, body = Problem), (status = 404, body = Problem)),
)]
async fn list(
    State(identity): State<Identity>,
    principal: Principal,
    Path(organization_id): Path<Uuid>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    require_member(&identity, &principal, &CLIENT_READ, organization_id).await?;
    let limit = page.limit()?;
    let after = page.cursor().unwrap_or_default();
    let rows = store::list(&identity.database, organization_id, after, limit + 1).await?;
    let place = format!("/organizations/{organization_id}/clients");
    let cursor = |row: &Client| row.client_id.clone();
    Ok(page::show((&place, "clients"), limit, rows, cursor, |row| {
        show(&principal, row)
    })
    .into_response())
}

/// One client.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/clients/{client_id}", tag = "clients",
    params(("organization_id" = Uuid, Path), ("client_id" = String, Path)),
    responses((status = 200, body = Resource<Client>), (status = 403, body = Problem), (status = 404, body = Problem)),
)]
async fn read(
    State(identity): State<Identity>,
    principal: Principal,
    Path((organization_id, client_id)): Path<(Uuid, String)>,
) -> Result<Response, Problem> {
    require_member(&identity, &principal, &CLIENT_READ, organization_id).await?;
    let client = store::find(&identity.database, organization_id, &client_id).await?;
    Ok(show(&principal, client.ok_or_else(no_such_client)?).into_response())
}

/// Takes a client away: it gets no more tokens. Those it has live on until they end.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}/clients/{client_id}", tag = "clients",
    params(("organization_id" = Uuid, Path), ("client_id" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)),
)]
async fn delete(
    State(identity): State<Identity>,
    principal: Principal,
    Path((organization_id, client_id)): Path<(Uuid, String)>,
) -> Result<StatusCode, Problem> {
    require_member(&identity, &principal, &CLIENT_DELETE, organization_id).await?;
    if store::delete(&identity.database, organization_id, &client_id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_client())
    }
}

fn no_such_client() -> Problem {
    Problem::not_found("the organization has no such client")
}

fn path(client: &Client) -> String {
    format!(
        "/organizations/{}/clients/{}",
        client.organization_id, client.client_id
    )
}

fn show(principal: &Principal, client: Client) -> Resource<Client> {
    let path = path(&client);
    let delete = principal
        .permissions
        .contains(&CLIENT_DELETE)
        .then(|| path.clone());
    Resource::new(client)
        .link_if("delete", delete)
        .link("self", path)
}
