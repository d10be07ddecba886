//! `POST /orders`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commerce_contracts::commerce::{OrderCreated, OrderId, OrganizationId};
use commerce_host::hal::Resource;
use commerce_host::{Json, Problem, RequestContext};
use commerce_identity_client::Principal;
use http::{HeaderMap, StatusCode, header};
use uuid::Uuid;

use super::new_order::NewOrder;
use super::view::{ShownOrder, show};
use super::{Api, admit, idempotency, path_of, permissions};
use crate::announce::announce;
use crate::order::Cause;
use crate::store;

/// Creates an order.
///
/// The same order may be posted again, told by its `order_id` or else by `Idempotency-Key`: the answer is then 303 with
/// the location of the order, and nothing changes.
#[utoipa::path(
    post,
    path = "/orders",
    tag = "orders",
    request_body = NewOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "For orders without an order_id")),
    responses(
        (status = 201, body = Resource<ShownOrder>, headers(("Location" = String))),
        (status = 303, description = "It exists already", headers(("Location" = String))),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 409, body = Problem, description = "The order_id cannot be used"),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
    )
)]
pub(super) async fn create_order(
    State(api): State<Api>,
    principal: Principal,
    context: RequestContext,
    headers: HeaderMap,
    Json(new): Json<NewOrder>,
) -> Result<Response, Problem> {
    let organization = admit(&principal, &permissions::CREATE_ORDER)?;
    let order_id = choose_id(new.order_id, idempotency::key(&headers)?, organization);
    let order = new.accept(
        order_id,
        organization,
        usize::from(api.config.largest_order.get()),
    )?;

    let mut tx = api.database.begin().await?;
    if !store::insert(&mut tx, &order).await? {
        tx.rollback().await?;
        return duplicate(&api, organization, order_id).await;
    }
    let cause = Cause {
        id: context.request_id.clone(),
        transaction_id: Some(context.transaction_id.clone()),
        ..Cause::default()
    };
    store::record(&mut tx, order_id, &order.creation(cause)).await?;
    let created = OrderCreated {
        organization_id: organization,
        order_id,
        reference: order.reference.clone(),
        customer: order.customer.clone(),
        items: order.items.clone(),
        freight: order.freight,
        total: order.total,
        created_at: order.created_at,
    };
    announce(&mut tx, &context, &created).await?;
    tx.commit().await?;
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, path_of(order_id))],
        show(order),
    )
        .into_response())
}

/// A key names one order of an organization: the id follows from both, so that the second request finds the first.
fn choose_id(chosen: Option<Uuid>, key: Option<&str>, organization: OrganizationId) -> OrderId {
    match (chosen, key) {
        (Some(chosen), _) => chosen.into(),
        (None, Some(key)) => Uuid::new_v5(&organization.as_uuid(), key.as_bytes()).into(),
        (None, None) => OrderId::new(),
    }
}

async fn duplicate(
    api: &Api,
    organization: OrganizationId,
    order_id: OrderId,
) -> Result<Response, Problem> {
    match store::find(&api.database, organization, order_id).await? {
        Some(_) => Ok((
            StatusCode::SEE_OTHER,
            [(header::LOCATION, path_of(order_id))],
        )
            .into_response()),
        // Somebody else's. Ids are chosen at random, so this is no accident, and it is not told whose.
        None => Err(Problem::conflict(
            "this order_id cannot be used; choose another UUID",
        )),
    }
}
