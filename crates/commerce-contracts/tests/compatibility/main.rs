//! The compatibility checker: every rule in both directions, under both policies and in all modes, and what it makes of hostile schemas.
#![cfg(feature = "compatibility")]

mod findings;
mod hostile;
mod modes;
mod tables;
mod undecided;
