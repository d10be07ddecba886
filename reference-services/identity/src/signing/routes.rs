//! `/signing-keys`: for operators of the platform.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use commerce_host::Problem;
use commerce_host::hal::Resource;
use commerce_identity_client::Principal;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ring::signing;
use crate::Identity;
use crate::organizations::require_operator;
use crate::permissions::{SIGNING_KEY_READ, SIGNING_KEY_ROTATE};

pub(crate) fn routes(identity: &Identity) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(rotate))
        .with_state(identity.clone())
}

/// What a key is doing.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum KeyState {
    /// Published, and not yet in use.
    Next,
    /// Signs tokens.
    Signing,
    /// Published as long as tokens that it signed may live.
    Retired,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct SigningKeyView {
    kid: String,
    state: KeyState,
    created_at: DateTime<Utc>,
    active_from: DateTime<Utc>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct SigningKeys {
    signing_keys: Vec<SigningKeyView>,
}

/// The published keys and what each is doing.
#[utoipa::path(
    get, path = "/signing-keys", tag = "signing keys",
    responses((status = 200, body = Resource<SigningKeys>), (status = 403, body = Problem)),
)]
async fn list(State(identity): State<Identity>, principal: Principal) -> Result<Response, Problem> {
    require_operator(&principal, &SIGNING_KEY_READ)?;
    Ok(keys(&identity, &principal).into_response())
}

/// Publishes the next key. It signs after the time set by `publish_keys_ahead`; while a key waits for its turn, this
/// changes nothing.
#[utoipa::path(
    post, path = "/signing-keys/rotate", tag = "signing keys",
    responses(
        (status = 201, description = "The next key was published", body = Resource<SigningKeys>),
        (status = 200, description = "A key waits for its turn already", body = Resource<SigningKeys>),
        (status = 403, body = Problem),
    ),
)]
async fn rotate(
    State(identity): State<Identity>,
    principal: Principal,
) -> Result<Response, Problem> {
    require_operator(&principal, &SIGNING_KEY_ROTATE)?;
    let added = identity.keys.rotate(Utc::now()).await?;
    let status = if added {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, keys(&identity, &principal)).into_response())
}

fn keys(identity: &Identity, principal: &Principal) -> Resource<SigningKeys> {
    let published = identity.keys.published();
    let signing = signing(&published, Utc::now());
    let signing_keys = published
        .iter()
        .enumerate()
        .map(|(index, key)| SigningKeyView {
            kid: key.kid().to_owned(),
            state: match index.cmp(&signing) {
                std::cmp::Ordering::Less => KeyState::Retired,
                std::cmp::Ordering::Equal => KeyState::Signing,
                std::cmp::Ordering::Greater => KeyState::Next,
            },
            created_at: key.created_at,
            active_from: key.active_from,
        })
        .collect::<Vec<_>>();
    let waiting = signing + 1 < signing_keys.len();
    let may_rotate = principal.permissions.contains(&SIGNING_KEY_ROTATE) && !waiting;
    Resource::new(SigningKeys { signing_keys })
        .link("self", "/signing-keys")
        .link_if("rotate", may_rotate.then_some("/signing-keys/rotate"))
}
