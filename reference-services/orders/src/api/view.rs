//! An order as callers see it, with links to what can be done with it now.

use chrono::{DateTime, Utc};
use commerce_contracts::commerce::{Customer, Money, OrderId, OrderItem};
use commerce_host::hal::{Link, Resource};
use commerce_identity_client::{Permission, Principal};
use serde::Serialize;
use utoipa::ToSchema;

use super::new_order::{Amount, Buyer, Line};
use super::{path_of, permissions};
use crate::order::{Order, Payment};
use crate::state::{Command, State, decide};

/// An order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ShownOrder {
    #[schema(value_type = uuid::Uuid)]
    order_id: OrderId,
    /// What the shop calls the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    state: State,
    /// How often its payment was asked for.
    attempt: u32,
    #[schema(value_type = Buyer)]
    customer: Customer,
    #[schema(value_type = Vec<Line>)]
    items: Vec<OrderItem>,
    #[schema(value_type = Amount)]
    freight: Money,
    /// Items and freight together.
    #[schema(value_type = Amount)]
    total: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<Payment>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// The order with its links: each is there exactly if this principal's request to it would be accepted now.
pub(super) fn show(principal: &Principal, order: Order) -> Resource<ShownOrder> {
    let path = path_of(order.order_id);
    let offer = |permission: &Permission, command: Command, name: &str, title: &str| {
        let allowed =
            principal.require(permission).is_ok() && decide(order.standing(), command).is_ok();
        allowed.then(|| Link::to(format!("{path}/{name}")).title(title))
    };
    let check_out = offer(
        &permissions::CHECK_OUT_ORDER,
        Command::CheckOut,
        "checkout",
        "POST asks for the payment",
    );
    let cancel = offer(
        &permissions::CANCEL_ORDER,
        Command::Cancel,
        "cancel",
        "POST gives the order up",
    );
    let reads = principal.require(&permissions::READ_ORDER).is_ok();
    let read = |href: &str| reads.then(|| Link::to(href));
    Resource::new(ShownOrder {
        order_id: order.order_id,
        reference: order.reference,
        state: order.state,
        attempt: order.attempt,
        customer: order.customer,
        items: order.items,
        freight: order.freight,
        total: order.total,
        payment: order.payment,
        created_at: order.created_at,
        updated_at: order.updated_at,
    })
    .link("self", path.as_str())
    .link_if("history", read(&format!("{path}/history")))
    .link_if("collection", read("/orders"))
    .link_if("checkout", check_out)
    .link_if("cancel", cancel)
}
