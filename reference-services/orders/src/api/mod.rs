//! The HTTP API.

mod create;
mod cursor;
mod idempotency;
mod list;
mod new_order;
pub mod permissions;
mod read;
mod transitions;
mod view;

use commerce_consumer_framework::storage::Database;
use commerce_contracts::commerce::{OrderId, OrganizationId};
use commerce_host::Problem;
use commerce_identity_client::{Permission, Principal};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Config;
use crate::store;

/// What the handlers share.
#[derive(Clone, Debug)]
struct Api {
    config: Config,
    database: Database,
}

pub(crate) fn routes(config: Config, database: Database) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(create::create_order, list::list_orders))
        .routes(routes!(read::read_order))
        .routes(routes!(read::read_history))
        .routes(routes!(transitions::check_out))
        .routes(routes!(transitions::cancel))
        .with_state(Api { config, database })
}

/// The organization that a principal with this permission acts for.
fn admit(principal: &Principal, permission: &Permission) -> Result<OrganizationId, Problem> {
    principal.require(permission)?;
    Ok(principal.require_organization()?.into())
}

/// The id in a path. What is no id names no order.
fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| unknown_order())
}

/// For an order that does not exist, and for one of another organization: which of both is not told.
fn unknown_order() -> Problem {
    Problem::not_found("there is no such order")
}

fn path_of(order_id: OrderId) -> String {
    format!("/orders/{order_id}")
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Storage(error) => error.into(),
            other => Self::internal(&other),
        }
    }
}
