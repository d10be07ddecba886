#![doc = include_str!("../README.md")]

mod algorithm;
#[cfg(feature = "axum")]
mod extract;
mod flight;
mod jitter;
mod keys;
mod permission;
mod principal;
mod rejected;
mod token;
mod token_source;
mod verifier;

#[cfg(feature = "axum")]
pub use crate::extract::Unauthenticated;
pub use crate::{
    algorithm::{Algorithm, UnknownAlgorithm},
    keys::InvalidKeySet,
    permission::{InvalidPermission, Permission, Permissions},
    principal::{Forbidden, Principal},
    rejected::Rejected,
    token_source::{ClientCredentials, InvalidTokenSource, TokenError, TokenSource},
    verifier::{InvalidVerifier, Verifier, VerifierBuilder},
};

/// Any error, where all that is done with it is telling it.
type BoxError = Box<dyn std::error::Error + Send + Sync>;
