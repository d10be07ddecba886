//! An HTTP client that follows links and survives its servers: safe retries, budgets, circuit breakers.

mod authorize;

pub use crate::authorize::{Authorize, AuthorizeError};
