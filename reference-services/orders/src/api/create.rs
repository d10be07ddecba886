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
use crate::order::{Asked, Cause, Operation};
use crate::store::{self, Repetition};

/// Creates an order.
///
/// The same order may be posted again, told by `Idempotency-Key` or else by its `order_id`: the answer is then 303 with
/// the location of the order, and nothing changes. Another order under the same key or id is refused.
#[utoipa::path(
    post,
    path = "/orders",
    tag = "orders",
    request_body = NewOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body are the same order")),
    responses(
        (status = 201, body = Resource<ShownOrder>, headers(("Location" = String))),
        (status = 303, description = "It exists already", headers(("Location" = String))),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 409, body = Problem, description = "The order_id cannot be used"),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem, description = "Not acceptable, or the key or id is that of another order"),
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
    let key = idempotency::key(&headers)?;
    let order_id = choose_id(new.order_id, key, organization);
    let asked = Asked::new(Operation::Create, &new, key).map_err(store::Error::from)?;
    let order = new.accept(
        order_id,
        organization,
        usize::from(api.config.largest_order.get()),
    )?;

    let mut tx = api.database.begin().await?;
    if !store::insert(&mut tx, &order, &asked).await? {
        tx.rollback().await?;
        return duplicate(&api, organization, order_id, &asked).await;
    }
    let cause = Cause {
        id: context.request_id.clone(),
        transaction_id: Some(context.transaction_id.clone()),
        reason: None,
        asked: Some(asked),
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
        show(&principal, order),
    )
        .into_response())
}

/// A key names one order of an organization. Where the caller chose no id, it follows from both.
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
    asked: &Asked,
) -> Result<Response, Problem> {
    match store::existing(&api.database, organization, order_id, asked).await? {
        Some(existing) if existing.repetition == Repetition::Same => Ok((
            StatusCode::SEE_OTHER,
            [(header::LOCATION, path_of(existing.order_id))],
        )
            .into_response()),
        Some(existing) if existing.by_key => Err(idempotency::key_of_another()),
        Some(_) => Err(Problem::unprocessable(
            "another order has this order_id; send that order again as it was, or this one with another UUID",
        )
        .at("/order_id", "used for another order")),
        // Somebody else's. Ids are chosen at random, so this is no accident, and it is not told whose.
        None => Err(Problem::conflict(
            "this order_id cannot be used; choose another UUID",
        )),
    }
}
