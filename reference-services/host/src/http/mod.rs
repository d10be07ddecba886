//! What a handler speaks in: problems, JSON bodies, hypermedia, and the ids of a request.

pub(crate) mod context;
pub(crate) mod fallback;
pub mod hal;
pub mod json;
pub mod problem;
