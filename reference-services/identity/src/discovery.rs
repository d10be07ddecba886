//! What others find out by themselves: the issuer's metadata and its public keys.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commerce_host::Json;
use http::{HeaderValue, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Identity;

pub(crate) fn routes(identity: &Identity) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(openid_configuration))
        .routes(routes!(authorization_server))
        .routes(routes!(jwks))
        .with_state(identity.clone())
}

/// Metadata of the issuer (OpenID Connect Discovery 1.0, RFC 8414). What is not listed is not offered.
#[derive(Debug, Serialize, ToSchema)]
struct Metadata {
    issuer: String,
    token_endpoint: String,
    jwks_uri: String,
    grant_types_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 2],
    /// The standards ask for this list; there is no authorization endpoint, so it is empty.
    response_types_supported: [&'static str; 0],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
    /// Every permission that a token can carry.
    scopes_supported: Vec<String>,
    service_documentation: String,
}

/// The issuer's metadata, where OpenID Connect clients look for it.
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "discovery", responses((status = 200, body = Metadata)))]
async fn openid_configuration(State(identity): State<Identity>) -> Response {
    metadata(&identity)
}

/// The same, where OAuth clients look for it.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "discovery", responses((status = 200, body = Metadata)))]
async fn authorization_server(State(identity): State<Identity>) -> Response {
    metadata(&identity)
}

fn metadata(identity: &Identity) -> Response {
    let issuer = &identity.issuer;
    let metadata = Metadata {
        token_endpoint: format!("{issuer}/oauth/token"),
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        issuer: issuer.clone(),
        grant_types_supported: ["client_credentials"],
        token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        response_types_supported: [],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["ES256"],
        scopes_supported: identity
            .roles
            .every_permission()
            .iter()
            .map(ToString::to_string)
            .collect(),
        service_documentation: format!("{issuer}/docs/"),
    };
    (
        [(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=300"),
        )],
        Json(metadata),
    )
        .into_response()
}

/// A set of public keys (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
struct KeySet {
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Value>,
}

/// The public keys that tokens are verified with: the one that signs now, the next one, and retired ones as long as tokens
/// they signed may live.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "discovery", responses((status = 200, body = KeySet)))]
async fn jwks(State(identity): State<Identity>) -> Response {
    let keys = identity
        .keys
        .published()
        .iter()
        .map(|key| key.jwk.clone())
        .collect();
    let caching = format!("public, max-age={}", identity.keys.cache_for.as_secs());
    ([(header::CACHE_CONTROL, caching)], Json(KeySet { keys })).into_response()
}
