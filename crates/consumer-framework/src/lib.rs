#![doc = include_str!("../README.md")]

mod backoff;
mod call;
mod consumer;
mod drained;
mod emit;
mod extract;
mod failure;
mod handler;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod inbox;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod outbox;
mod routes;
mod stats;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod storage;
pub mod testing;
mod trace;

pub use backoff::Backoff;
pub use call::Call;
pub use consumer::{Consumer, ConsumerError, OnExhausted, OnUnknownVersion, Running};
pub use drained::Drained;
pub use emit::Emit;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use extract::{Begin, Tx};
pub use extract::{Context, Event, FromCall, Metadata, State};
pub use failure::Failure;
pub use handler::{BeginsWithEvent, Handler, IntoOutcome};
pub use stats::Stats;
