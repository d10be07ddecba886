//! `POST /orders/{order_id}/checkout` and `POST /orders/{order_id}/cancel`.

use axum::extract::{Path, State};
use commerce_consumer_framework::storage::Transaction;
use commerce_contracts::commerce::{OrderCancelled, OrderId, OrganizationId, PaymentRequested};
use commerce_host::hal::Resource;
use commerce_host::{Json, Problem, RequestContext};
use commerce_identity_client::Principal;
use http::HeaderMap;
use serde::Deserialize;
use utoipa::ToSchema;

use super::new_order::{Mistakes, check_payment};
use super::view::{ShownOrder, show};
use super::{Api, admit, idempotency, order_id, permissions, unknown_order};
use crate::announce::announce;
use crate::order::{Asked, Cause, Operation, Order, Payment};
use crate::state::{Command, NotAllowed, decide};
use crate::store::{self, Repetition};

/// So often somebody else may be faster before the caller is told.
const TRIES: usize = 3;

/// How an order is paid, where that was not said before or has changed.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckOut {
    payment: Option<Payment>,
}

/// Why an order is given up.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    #[schema(min_length = 1, max_length = 500)]
    reason: Option<String>,
}

/// Asks for the payment of an order; after a rejection, for another attempt.
#[utoipa::path(
    post,
    path = "/orders/{order_id}/checkout",
    tag = "orders",
    params(
        ("order_id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "A request that comes again is not done again"),
    ),
    request_body = Option<CheckOut>,
    responses(
        (status = 200, body = Resource<ShownOrder>),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Not allowed in this state"),
        (status = 415, body = Problem),
        (status = 422, body = Problem, description = "Not acceptable, or the key is that of another request"),
    )
)]
pub(super) async fn check_out(
    State(api): State<Api>,
    principal: Principal,
    context: RequestContext,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Option<Json<CheckOut>>,
) -> Result<Resource<ShownOrder>, Problem> {
    let organization = admit(&principal, &permissions::CHECK_OUT_ORDER)?;
    let payment = body.and_then(|Json(body)| body.payment);
    if let Some(payment) = payment {
        let mut mistakes = Mistakes::default();
        check_payment("/payment", payment, &mut mistakes);
        mistakes.into_result()?;
    }
    let asked = Asked::new(Operation::CheckOut, &payment, idempotency::key(&headers)?);
    let request = Request::new(organization, &id, asked, &context)?;
    for _ in 0..TRIES {
        let mut tx = api.database.begin().await?;
        let mut order = match request.begin(&mut tx).await? {
            Begun::Repeated(order) => return Ok(show(&principal, order)),
            Begun::New(order) => order,
        };
        let next = decide(order.standing(), Command::CheckOut).map_err(refuse)?;
        order.payment = payment.or(order.payment);
        let terms = order.payment.ok_or_else(|| {
            Problem::unprocessable("how the order is paid is not known yet")
                .at("/payment", "missing")
        })?;
        let Some(order) = request.advance(&mut tx, &order, next, None).await? else {
            tx.rollback().await?;
            continue;
        };
        let requested = PaymentRequested {
            organization_id: organization,
            order_id: order.order_id,
            attempt: order.attempt,
            amount: order.total,
            method: terms.method,
            installments: terms.installments,
            requested_at: order.updated_at,
        };
        announce(&mut tx, &context, &requested).await?;
        tx.commit().await?;
        return Ok(show(&principal, order));
    }
    Err(too_busy())
}

/// Gives an order up.
#[utoipa::path(
    post,
    path = "/orders/{order_id}/cancel",
    tag = "orders",
    params(
        ("order_id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "A request that comes again is not done again"),
    ),
    request_body = Option<Cancel>,
    responses(
        (status = 200, body = Resource<ShownOrder>),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Not allowed in this state"),
        (status = 415, body = Problem),
        (status = 422, body = Problem, description = "Not acceptable, or the key is that of another request"),
    )
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    principal: Principal,
    context: RequestContext,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Option<Json<Cancel>>,
) -> Result<Resource<ShownOrder>, Problem> {
    let organization = admit(&principal, &permissions::CANCEL_ORDER)?;
    let reason = body.and_then(|Json(body)| body.reason);
    if let Some(reason) = &reason {
        let mut mistakes = Mistakes::default();
        mistakes.text("/reason", reason, 500);
        mistakes.into_result()?;
    }
    let asked = Asked::new(Operation::Cancel, &reason, idempotency::key(&headers)?);
    let request = Request::new(organization, &id, asked, &context)?;
    for _ in 0..TRIES {
        let mut tx = api.database.begin().await?;
        let order = match request.begin(&mut tx).await? {
            Begun::Repeated(order) => return Ok(show(&principal, order)),
            Begun::New(order) => order,
        };
        let next = decide(order.standing(), Command::Cancel).map_err(refuse)?;
        let Some(order) = request
            .advance(&mut tx, &order, next, reason.clone())
            .await?
        else {
            tx.rollback().await?;
            continue;
        };
        let cancelled = OrderCancelled {
            organization_id: organization,
            order_id: order.order_id,
            customer: order.customer.clone(),
            total: order.total,
            reason: reason.unwrap_or_else(|| "no reason was given".to_owned()),
            cancelled_at: order.updated_at,
        };
        announce(&mut tx, &context, &cancelled).await?;
        tx.commit().await?;
        return Ok(show(&principal, order));
    }
    Err(too_busy())
}

/// A request to change an order.
struct Request<'a> {
    organization: OrganizationId,
    order_id: OrderId,
    asked: Asked,
    context: &'a RequestContext,
}

enum Begun {
    /// The request was carried out before; this is the order now.
    Repeated(Order),
    New(Order),
}

impl<'a> Request<'a> {
    fn new(
        organization: OrganizationId,
        id: &str,
        asked: Result<Asked, serde_json::Error>,
        context: &'a RequestContext,
    ) -> Result<Self, Problem> {
        Ok(Self {
            organization,
            order_id: order_id(id)?,
            asked: asked.map_err(store::Error::from)?,
            context,
        })
    }

    async fn begin(&self, tx: &mut Transaction) -> Result<Begun, Problem> {
        let order = store::find_in(tx, self.organization, self.order_id)
            .await?
            .ok_or_else(unknown_order)?;
        match store::repetition(tx, self.order_id, &self.asked).await? {
            Repetition::New => Ok(Begun::New(order)),
            Repetition::Same => Ok(Begun::Repeated(order)),
            Repetition::Other => Err(idempotency::key_of_another()),
        }
    }

    /// Changes the order, unless somebody else has changed it since it was read.
    async fn advance(
        &self,
        tx: &mut Transaction,
        order: &Order,
        to: crate::state::Standing,
        reason: Option<String>,
    ) -> Result<Option<Order>, Problem> {
        let cause = Cause {
            id: self.context.request_id.clone(),
            transaction_id: Some(self.context.transaction_id.clone()),
            reason,
            asked: Some(self.asked.clone()),
        };
        let (next, change) = order.change(to, cause);
        if !store::advance(tx, order, &next).await? {
            return Ok(None);
        }
        store::record(tx, self.order_id, &change).await?;
        Ok(Some(next))
    }
}

fn refuse(reason: NotAllowed) -> Problem {
    Problem::conflict(reason.to_string())
}

fn too_busy() -> Problem {
    Problem::conflict("the order is being changed by others; read it again")
}
