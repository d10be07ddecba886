//! The public keys of an issuer: parsing them, fetching them, keeping them.

mod cache;
mod jwk;
mod set;
mod source;

pub use self::set::InvalidKeySet;
pub(crate) use self::{
    cache::{KeyCache, KeyPolicy, Missing},
    set::KeySet,
    source::HttpSource,
};
