//! What the threads of a desk meet at, by name: its test puts those of a model checker in their place.

pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) use tokio::sync::Notify;
