//! Payments against the real provider sandbox, over HTTP on loopback, on embedded storage and on real servers.

mod api;
mod end_to_end;
mod provider;
mod webhooks;
mod world;
