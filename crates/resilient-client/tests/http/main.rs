//! The client against real HTTP servers on loopback.

mod breaker;
mod credentials;
mod links;
mod retries;
mod server;
mod writes;
