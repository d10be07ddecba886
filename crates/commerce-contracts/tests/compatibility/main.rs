//! The compatibility checker: every rule in both directions, under both policies and in all modes.
#![cfg(feature = "compatibility")]

mod findings;
mod modes;
mod tables;
mod undecided;
