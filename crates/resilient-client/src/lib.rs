#![doc = include_str!("../README.md")]

mod authorize;
pub mod breaker;
mod client;
mod entry;
mod error;
mod exchange;
mod follow;
mod idempotency;
mod journey;
mod link_header;
mod links;
mod origins;
mod problem;
mod request;
mod resource;
mod retry;
mod stats;
mod template;
mod transport;

pub use crate::{
    authorize::{Authorize, AuthorizeError},
    breaker::BreakerPolicy,
    client::{Client, ClientBuilder},
    error::{Error, ErrorKind},
    follow::Follow,
    links::{Link, Links},
    problem::{PROBLEM_JSON, Problem},
    request::Request,
    resource::Resource,
    retry::RetryPolicy,
    stats::Stats,
};
