//! Users: people of an organization. They cannot log in yet; their roles are kept for when they can.

mod routes;
mod store;

pub(crate) use self::routes::routes;
