//! The keys that tokens are signed with, and their rotation.
//!
//! A key's life follows from two times. It is *published* from the moment it is made, *signs* from `active_from` until
//! its successor does, and stays published after that for longer than any token lives. So a verifier that fetches the key
//! set now and then always has the key of every token that is alive.

mod key;
mod ring;
mod routes;
mod store;

pub(crate) use self::key::SigningKey;
pub(crate) use self::ring::KeyRing;
pub(crate) use self::routes::routes;
