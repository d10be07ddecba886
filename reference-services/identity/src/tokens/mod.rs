//! `POST /oauth/token`: the token endpoint (RFC 6749).

mod authenticate;
mod endpoint;
mod error;
mod form;

pub(crate) use self::endpoint::routes;
