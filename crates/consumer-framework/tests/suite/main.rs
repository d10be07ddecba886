//! What the crate promises, tried on real databases and on the bus in memory.

#[macro_use]
mod databases;
mod storage;
