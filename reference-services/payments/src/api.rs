//! The HTTP API: payments can be read, nothing else; they begin with an event.

use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use commerce_host::Problem;
use commerce_host::hal::Resource;
use commerce_identity_client::{Permission, Principal};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::Payments;
use crate::cursor;
use crate::payment::Payment;
use crate::status::Status;
use crate::store::{self, Filter};

/// What a principal needs to read payments.
pub const READ_PAYMENT: Permission = Permission::from_static("payments.payment.read");

const DEFAULT_LIMIT: u16 = 50;
const LARGEST_LIMIT: u16 = 500;

pub(crate) fn routes() -> OpenApiRouter<Payments> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
}

/// A payment as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Shown {
    payment_id: Uuid,
    organization_id: Uuid,
    order_id: Uuid,
    /// Which attempt to pay the order it is, from 1.
    attempt: i64,
    amount: Amount,
    /// `pix`, `credit_card`, …
    method: String,
    installments: i64,
    status: Status,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the provider calls it.
    provider_reference: String,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<DateTime<Utc>>,
}

/// An amount of money.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Amount {
    /// In the currency's smallest unit.
    amount_minor: i64,
    /// ISO 4217.
    currency: String,
}

/// A page of payments.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Page {
    /// How many payments are on this page.
    count: usize,
}

/// Which payments.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Those of this order only.
    order_id: Option<Uuid>,
    /// The next page, as the link `next` has it.
    cursor: Option<String>,
    /// How many at most, 1 to 500; 50 unless said otherwise.
    limit: Option<u16>,
}

/// The organization's payments, oldest first.
#[utoipa::path(
    get,
    path = "/payments",
    tag = "payments",
    params(Wanted),
    responses((status = 200, body = Resource<Page>), (status = 400, body = Problem), (status = 401), (status = 403, body = Problem))
)]
async fn list(
    State(payments): State<Payments>,
    principal: Principal,
    Query(wanted): Query<Wanted>,
) -> Result<Resource<Page>, Problem> {
    principal.require(&READ_PAYMENT)?;
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "limit must be from 1 to {LARGEST_LIMIT}"
        )));
    }
    let after = wanted.cursor.as_deref().map(cursor::decode).transpose();
    let after = after.map_err(|_| Problem::bad_request("cursor is not one from a link `next`"))?;
    let filter = Filter {
        organization_id: principal.organization,
        order_id: wanted.order_id,
        after,
    };
    // One more than the page holds tells whether there is a next one.
    let mut found = store::list(&payments.database, &filter, i64::from(limit) + 1).await?;
    let more = found.len() > usize::from(limit);
    found.truncate(usize::from(limit));
    let next = found.last().filter(|_| more).map(|last| {
        let order = wanted
            .order_id
            .map(|id| format!("&order_id={id}"))
            .unwrap_or_default();
        format!(
            "/payments?limit={limit}{order}&cursor={}",
            cursor::encode(last.created_at, last.id)
        )
    });
    Ok(Resource::new(Page { count: found.len() })
        .link("self", "/payments")
        .link_if("next", next)
        .embed(
            "payments",
            found.into_iter().map(represent).collect::<Vec<_>>(),
        ))
}

/// One payment.
#[utoipa::path(
    get,
    path = "/payments/{id}",
    tag = "payments",
    params(("id" = Uuid, Path)),
    responses((status = 200, body = Resource<Shown>), (status = 401), (status = 403, body = Problem), (status = 404, body = Problem))
)]
async fn read(
    State(payments): State<Payments>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Resource<Shown>, Problem> {
    principal.require(&READ_PAYMENT)?;
    // Another organization's payment is answered like none at all: its existence is not told.
    let unknown = || Problem::not_found("there is no such payment");
    let id = Uuid::parse_str(&id).map_err(|_| unknown())?;
    let payment = store::find(&payments.database, id).await?;
    let payment = payment
        .filter(|payment| principal.acts_for(payment.organization_id))
        .ok_or_else(unknown)?;
    Ok(represent(payment))
}

fn represent(payment: Payment) -> Resource<Shown> {
    let href = format!("/payments/{}", payment.id);
    let siblings = format!("/payments?order_id={}", payment.order_id);
    Resource::new(Shown {
        payment_id: payment.id,
        organization_id: payment.organization_id,
        order_id: payment.order_id,
        attempt: payment.attempt,
        amount: Amount {
            amount_minor: payment.amount_minor,
            currency: payment.currency,
        },
        method: payment.method,
        installments: payment.installments,
        status: payment.status,
        reason: payment.reason,
        provider_reference: payment.provider_reference,
        created_at: payment.created_at,
        settled_at: payment.settled_at,
    })
    .link("self", href)
    .link("collection", siblings)
}
