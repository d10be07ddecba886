//! `GET /orders`.

use axum::extract::{Query, State};
use commerce_host::Problem;
use commerce_host::hal::Resource;
use commerce_identity_client::Principal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::show;
use super::{Api, admit, cursor, permissions};
use crate::state;
use crate::store::{self, Position};

const USUAL_PAGE: u16 = 50;

/// Which orders.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Where the page begins: taken from the link `next` of the page before.
    cursor: Option<String>,
    /// How many at most: 50 unless given, 500 unless set otherwise.
    limit: Option<u16>,
    /// Only orders in this state.
    state: Option<state::State>,
}

/// A page of orders; they are embedded as `orders`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Page {
    /// How many orders are on this page.
    count: usize,
}

/// The organization's orders, the newest first, a page at a time.
#[utoipa::path(
    get,
    path = "/orders",
    tag = "orders",
    params(Wanted),
    responses(
        (status = 200, body = Resource<Page>),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
    )
)]
pub(super) async fn list_orders(
    State(api): State<Api>,
    principal: Principal,
    Query(wanted): Query<Wanted>,
) -> Result<Resource<Page>, Problem> {
    let organization = admit(&principal, &permissions::READ_ORDER)?;
    let largest = api.config.largest_page.get();
    let limit = wanted.limit.unwrap_or(USUAL_PAGE.min(largest));
    if !(1..=largest).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "limit is from 1 to {largest}"
        )));
    }
    let after = wanted.cursor.as_deref().map(|cursor| {
        cursor::decode(cursor)
            .ok_or_else(|| Problem::bad_request("cursor is not one from a link `next`"))
    });
    // One more than the page holds tells whether there is a next one.
    let fetched = i64::from(limit) + 1;
    let mut orders = store::list(
        &api.database,
        organization,
        wanted.state,
        after.transpose()?,
        fetched,
    )
    .await?;
    let more = orders.len() > usize::from(limit);
    orders.truncate(usize::from(limit));
    let state = wanted
        .state
        .map(|state| format!("&state={state}"))
        .unwrap_or_default();
    let page = |cursor: &str| format!("/orders?limit={limit}{state}{cursor}");
    let next = orders.last().filter(|_| more).map(|last| {
        let position = Position {
            created_at: last.created_at,
            order_id: last.order_id.as_uuid(),
        };
        page(&format!("&cursor={}", cursor::encode(position)))
    });
    let this = wanted
        .cursor
        .map(|cursor| format!("&cursor={cursor}"))
        .unwrap_or_default();
    Ok(Resource::new(Page {
        count: orders.len(),
    })
    .link("self", page(&this))
    .link_if("next", next)
    .embed(
        "orders",
        orders
            .into_iter()
            .map(|order| show(&principal, order))
            .collect::<Vec<_>>(),
    ))
}
