//! The orders service as its callers and the bus see it, on embedded storage and on real servers.

mod bad_input;
mod creating;
mod listing;
mod outcomes;
mod shop;
mod transitions;
