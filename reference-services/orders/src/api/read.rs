//! `GET /orders/{order_id}` and its history.

use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use commerce_host::Problem;
use commerce_host::hal::Resource;
use commerce_identity_client::Principal;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::{ShownOrder, show};
use super::{Api, admit, order_id, path_of, permissions, unknown_order};
use crate::state;
use crate::store;

/// More changes than any order lives to see.
const LONGEST_HISTORY: i64 = 1000;

/// One order.
#[utoipa::path(
    get,
    path = "/orders/{order_id}",
    tag = "orders",
    params(("order_id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = Resource<ShownOrder>),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn read_order(
    State(api): State<Api>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Resource<ShownOrder>, Problem> {
    let organization = admit(&principal, &permissions::READ_ORDER)?;
    let order = store::find(&api.database, organization, order_id(&id)?).await?;
    Ok(show(&principal, order.ok_or_else(unknown_order)?))
}

/// What happened to an order, the oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct History {
    changes: Vec<ShownChange>,
}

/// One change of the state.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ShownChange {
    /// The state before; none when the order was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<state::State>,
    to: state::State,
    /// How often its payment had been asked for.
    attempt: u32,
    at: DateTime<Utc>,
    /// The id of the request or event that caused it.
    cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    /// What was said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What happened to an order, and why.
#[utoipa::path(
    get,
    path = "/orders/{order_id}/history",
    tag = "orders",
    params(("order_id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = Resource<History>),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn read_history(
    State(api): State<Api>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Resource<History>, Problem> {
    let organization = admit(&principal, &permissions::READ_ORDER)?;
    let order_id = order_id(&id)?;
    store::find(&api.database, organization, order_id)
        .await?
        .ok_or_else(unknown_order)?;
    let changes = store::history(&api.database, order_id, LONGEST_HISTORY).await?;
    let changes = changes.into_iter().map(|change| ShownChange {
        from: change.from,
        to: change.to,
        attempt: change.attempt,
        at: change.at,
        cause: change.cause.id,
        transaction_id: change.cause.transaction_id,
        reason: change.cause.reason,
    });
    let path = path_of(order_id);
    Ok(Resource::new(History {
        changes: changes.collect(),
    })
    .link("self", format!("{path}/history"))
    .link("order", path))
}
