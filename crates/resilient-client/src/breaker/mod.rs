//! Circuit breakers: after too many failures nothing is sent for a while, then a few probes decide.
//!
//! The client keeps one per origin. A [`Circuit`] can also guard what is not HTTP.

mod circuit;
mod policy;
mod window;

pub use self::{
    circuit::{Change, Circuit, Open, Permit},
    policy::BreakerPolicy,
};
