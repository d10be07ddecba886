//! What a principal needs.

use commerce_identity_client::Permission;

/// To create orders.
pub const CREATE_ORDER: Permission = Permission::from_static("orders.order.create");
/// To read orders and their history.
pub const READ_ORDER: Permission = Permission::from_static("orders.order.read");
/// To ask for the payment of orders.
pub const CHECK_OUT_ORDER: Permission = Permission::from_static("orders.order.checkout");
/// To cancel orders.
pub const CANCEL_ORDER: Permission = Permission::from_static("orders.order.cancel");
