//! What the crate promises, tried on real databases and on the bus in memory.

mod broken_bus;
mod consumer;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
#[macro_use]
mod databases;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod inbox;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod outbox;
mod runner;
mod shop;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod storage;
