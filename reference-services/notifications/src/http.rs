//! `GET /notifications`: what customers were told.

use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use commerce_consumer_framework::storage::Database;
use commerce_host::Problem;
use commerce_host::hal::Resource;
use commerce_identity_client::{Permission, Principal};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::store::{self, Filter, Notification, Position};

const READ: Permission = Permission::from_static("notifications.notification.read");
const DEFAULT_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 200;

/// The routes of the service.
pub(crate) fn routes(database: Database) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .with_state(database)
}

/// Something that a customer was told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct NotificationBody {
    /// The notification.
    notification_id: Uuid,
    /// The order that it is about.
    order_id: Uuid,
    /// Who was told.
    customer_id: Uuid,
    /// What became of the order: `received`, `payment_pending` or `cancelled`.
    outcome: String,
    /// The attempt to pay that it is about; 0 when it is about none.
    attempt: i64,
    /// The way it was sent: `email`.
    channel: String,
    /// When it was sent.
    notified_at: DateTime<Utc>,
}

/// A page of notifications, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PageBody {
    /// How many there are on this page.
    count: usize,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those about this order.
    order_id: Option<Uuid>,
    /// How many at most: 1 to 200, else 50.
    limit: Option<u32>,
    /// Where the page begins, as a link to the next page says it.
    cursor: Option<String>,
}

/// What customers were told, newest first.
#[utoipa::path(
    get,
    path = "/notifications",
    params(ListQuery),
    responses(
        (status = 200, description = "A page", body = Resource<PageBody>, content_type = "application/hal+json"),
        (status = 400, description = "The query is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not permitted", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    principal: Principal,
    State(database): State<Database>,
    Query(query): Query<ListQuery>,
) -> Result<Resource<PageBody>, Problem> {
    principal.require(&READ)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "limit must be from 1 to {LARGEST_LIMIT}"
        )));
    }
    let after = query.cursor.as_deref().map(position).transpose()?;
    let filter = Filter {
        organization_id: principal.organization,
        order_id: query.order_id,
        after,
        // One more tells whether there is a next page.
        limit: i64::from(limit) + 1,
    };
    let mut rows = store::list(&database, filter).await?;
    let page = limit as usize;
    let more = rows.len() > page;
    rows.truncate(page);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|last| address(query.order_id, limit, Some(&cursor(last))));
    let notifications: Vec<_> = rows.into_iter().map(resource).collect();
    Ok(Resource::new(PageBody {
        count: notifications.len(),
    })
    .link(
        "self",
        address(query.order_id, limit, query.cursor.as_deref()),
    )
    .link_if("next", next)
    .embed("notifications", notifications))
}

/// Something that a customer was told.
#[utoipa::path(
    get,
    path = "/notifications/{notification_id}",
    params(("notification_id" = Uuid, Path)),
    responses(
        (status = 200, description = "It", body = Resource<NotificationBody>, content_type = "application/hal+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not permitted", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    principal: Principal,
    State(database): State<Database>,
    Path(notification_id): Path<Uuid>,
) -> Result<Resource<NotificationBody>, Problem> {
    principal.require(&READ)?;
    // Another organization's is not there, rather than forbidden: who may not see it need not know of it.
    store::find(&database, notification_id, principal.organization)
        .await?
        .map(resource)
        .ok_or_else(|| Problem::not_found("there is no such notification"))
}

fn resource(row: Notification) -> Resource<NotificationBody> {
    let (own, order) = (
        format!("/notifications/{}", row.notification_id),
        format!("/orders/{}", row.order_id),
    );
    let body = NotificationBody {
        notification_id: row.notification_id,
        order_id: row.order_id,
        customer_id: row.customer_id,
        outcome: row.outcome,
        attempt: row.attempt,
        channel: row.channel,
        notified_at: row.notified_at,
    };
    Resource::new(body).link("self", own).link("order", order)
}

fn address(order_id: Option<Uuid>, limit: u32, cursor: Option<&str>) -> String {
    let order_id = order_id
        .map(|id| format!("&order_id={id}"))
        .unwrap_or_default();
    let cursor = cursor
        .map(|cursor| format!("&cursor={cursor}"))
        .unwrap_or_default();
    format!("/notifications?limit={limit}{order_id}{cursor}")
}

/// Microseconds and identifier: characters that need no escaping in a URL.
fn cursor(row: &Notification) -> String {
    format!(
        "{}-{}",
        row.notified_at.timestamp_micros(),
        row.notification_id.simple()
    )
}

fn position(cursor: &str) -> Result<Position, Problem> {
    let parsed = cursor.rsplit_once('-').and_then(|(micros, id)| {
        Some(Position {
            notified_at: DateTime::from_timestamp_micros(micros.parse().ok()?)?,
            notification_id: Uuid::try_parse(id).ok()?,
        })
    });
    parsed.ok_or_else(|| Problem::bad_request("cursor is not one that a link to a next page had"))
}
