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
mod deprecation;
mod event;
#[cfg(all(feature = "gate", feature = "derive", feature = "validation"))]
#[doc = include_str!("../docs/evolving.md")]
pub mod evolving {}
#[cfg(feature = "gate")]
pub mod gate;
// What fuzzers call: in no other build, and no part of the API.
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod json;
mod json_schema;
mod ordering_key;
mod personal;
#[cfg(feature = "validation")]
mod plan;
mod reading;
mod short;
mod trace_context;
mod version;
mod violation;

pub use attribute::{Attribute, EnvelopeError};
pub use avro::AvroSchema;
pub use cloud_event::CloudEvent;
/// Makes a struct an [`Event`]: see the macro's documentation for its attributes.
#[cfg(feature = "derive")]
pub use commerce_contracts_derive::Event;
/// Writes a `Debug` that does not show personal data: see the trait of this name.
#[cfg(feature = "derive")]
pub use commerce_contracts_derive::PersonalData;
pub use contract::Contract;
pub use deprecation::Deprecation;
pub use event::{DecodeError, EncodeError, Event};
pub use ordering_key::OrderingKey;
pub use personal::PersonalData;
pub use version::UpcastFrom;
pub use violation::{Violation, Violations};
// What the derive macro writes, and no part of the API.
#[doc(hidden)]
pub use version::{same_name, upcast};

/// What the derive macro writes for the [`gate`].
#[cfg(feature = "gate")]
#[doc(hidden)]
pub mod __private {
    pub use crate::gate::registry::Registration;
    pub use inventory;
}

/// Announces an event to the gate. Written by the derive macro; no part of the API.
#[cfg(feature = "gate")]
#[doc(hidden)]
#[macro_export]
macro_rules! __announce_event {
    ($event:ident) => {
        $crate::__private::inventory::submit! {
            $crate::__private::Registration::new(
                <$event as $crate::Event>::contract,
                ::core::env!("CARGO_PKG_NAME"),
                ::core::module_path!(),
                ::core::stringify!($event),
            )
        }
    };
}

/// Without the gate nobody listens.
#[cfg(not(feature = "gate"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __announce_event {
    ($event:ident) => {};
}

/// The gate is a feature: this says so where it is asked for without.
#[cfg(not(feature = "gate"))]
#[doc(hidden)]
#[macro_export]
macro_rules! assert_compatible {
    ($($setting:tt)*) => {
        ::core::compile_error!("`assert_compatible!` needs the feature `gate`: [dev-dependencies] commerce-contracts = { version = \"…\", features = [\"gate\"] }")
    };
}
