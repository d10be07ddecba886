//! The host from outside: what callers of any service meet, and how a process lives and ends.

mod consumers;
mod greeter;
mod http;
mod lifecycle;
