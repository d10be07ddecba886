//! When a request may be repeated, after how long, and how often.

mod after;
mod budget;
mod policy;
mod safety;

pub use self::policy::RetryPolicy;
pub(crate) use self::{after::retry_after, budget::RetryBudget, safety::Safety};
