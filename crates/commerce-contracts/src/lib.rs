#![doc = include_str!("../README.md")]

// The derive macro writes `::commerce_contracts::…`; with this it also works inside this crate.
#[cfg(feature = "vocabulary")]
extern crate self as commerce_contracts;

mod attribute;
pub mod avro;
pub mod binding;
mod cloud_event;
#[cfg(feature = "vocabulary")]
pub mod commerce;
#[cfg(feature = "compatibility")]
pub mod compatibility;
mod contract;
mod event;
// What fuzzers call: in no other build, and no part of the API.
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod json;
mod reading;
mod version;

pub use attribute::{Attribute, EnvelopeError};
pub use cloud_event::CloudEvent;
/// Makes a struct an [`Event`]: see the macro's documentation for its attributes.
#[cfg(feature = "derive")]
pub use commerce_contracts_derive::Event;
pub use contract::{Contract, Violation, Violations};
pub use event::{DecodeError, EncodeError, Event};
pub use version::UpcastFrom;
// What the derive macro writes, and no part of the API.
#[doc(hidden)]
pub use version::{same_name, upcast};
