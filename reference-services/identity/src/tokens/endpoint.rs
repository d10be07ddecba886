//! Issues tokens to clients that prove who they are.

use axum::body::Bytes;
use axum::extract::State;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use chrono::{TimeDelta, Utc};
use commerce_host::{Json, Problem};
use commerce_identity_client::{Permission, Permissions};
use http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::authenticate::Claimed;
use super::error::{OAuthError, TokenFailure};
use super::form::Form;
use crate::{Identity, clients, secret};

pub(crate) fn routes(identity: &Identity) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(token))
        .layer(middleware::map_response(not_stored))
        .with_state(identity.clone())
}

/// Neither tokens nor refusals are for caches (RFC 6749, section 5.1).
async fn not_stored(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
        .headers_mut()
        .insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// What is sent, as a form.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form to OpenAPI; it is read field by field, because each may occur only once"
)]
struct TokenRequest {
    /// `client_credentials`.
    grant_type: String,
    /// Permissions, separated by spaces, when the token shall carry less than the client may do.
    scope: Option<String>,
    /// Whom the token is for, when the client wants to be sure.
    audience: Option<String>,
    /// The client's id, unless it is in the `Authorization` header.
    client_id: Option<String>,
    /// The client's secret, unless it is in the `Authorization` header.
    client_secret: Option<String>,
}

/// A token.
#[derive(Serialize, ToSchema)]
struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// The permissions that the token carries.
    scope: String,
}

/// What stands in a token.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: Uuid,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<Uuid>,
    permissions: &'a Permissions,
}

/// Issues a token to a client that gives its id and secret, by HTTP Basic authentication or in the form.
#[utoipa::path(
    post, path = "/oauth/token", tag = "tokens",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = TokenResponse),
        (status = 400, body = OAuthError),
        (status = 401, body = OAuthError),
        (status = 503, body = Problem),
    ),
)]
async fn token(
    State(identity): State<Identity>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, TokenFailure> {
    let form = Form::read(&headers, &body)?;
    let claimed = Claimed::read(&headers, &form)?;
    let client = clients::credentials(&identity.database, &claimed.client_id).await?;
    let proven = client.filter(|client| {
        secret::matches(claimed.client_secret.expose_secret(), &client.secret_digest)
    });
    let client = proven.ok_or_else(OAuthError::invalid_client)?;

    match form.get("grant_type") {
        Some("client_credentials") => {}
        Some(_) => return Err(OAuthError::unsupported_grant_type().into()),
        None => return Err(OAuthError::invalid_request("grant_type is missing").into()),
    }
    if form
        .get("audience")
        .is_some_and(|audience| audience != identity.audience)
    {
        return Err(OAuthError::invalid_target().into());
    }
    let held = identity.roles.permissions(&client.roles);
    let permissions = match form.get("scope") {
        Some(scope) => narrowed(scope, &held)?,
        None => held,
    };
    let now = Utc::now();
    let life = identity.config.token_life;
    let claims = Claims {
        iss: &identity.issuer,
        sub: &claimed.client_id,
        aud: &identity.audience,
        exp: (now + TimeDelta::from_std(life).map_err(anyhow::Error::from)?).timestamp(),
        iat: now.timestamp(),
        jti: Uuid::now_v7(),
        client_id: &claimed.client_id,
        org: client.organization_id,
        permissions: &permissions,
    };
    let access_token = identity.keys.sign(now, &claims)?;
    tracing::info!(client_id = claimed.client_id, token_id = %claims.jti, "a token was issued");
    let scope = permissions
        .iter()
        .map(Permission::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    Ok(Json(TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in: life.as_secs(),
        scope,
    })
    .into_response())
}

/// The permissions named, all of which the client must have: a client that asks for too much learns it here, and not from a
/// refusal later.
fn narrowed(scope: &str, held: &Permissions) -> Result<Permissions, OAuthError> {
    let mut wanted = Vec::new();
    for name in scope.split(' ').filter(|name| !name.is_empty()) {
        let permission: Option<Permission> = name.parse().ok();
        match permission.filter(|permission| held.contains(permission)) {
            Some(permission) => wanted.push(permission),
            None => {
                return Err(OAuthError::invalid_scope(
                    "the scope names what the client may not do",
                ));
            }
        }
    }
    if wanted.is_empty() {
        Err(OAuthError::invalid_scope("the scope is empty"))
    } else {
        Ok(wanted.into())
    }
}
