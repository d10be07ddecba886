//! What the crate promises, tried on real databases and on the bus in memory.
#![cfg_attr(
    not(all(feature = "sqlite", feature = "postgres")),
    allow(
        dead_code,
        reason = "the cases with databases are compiled when both are there"
    )
)]

mod broken_bus;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
#[macro_use]
mod databases;
mod handlers;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod inbox;
mod intake;
mod log;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod outbox;
mod retries;
mod runner;
mod shop;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod storage;
mod versions;
