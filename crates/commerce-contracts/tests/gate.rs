//! The schemas of the platform's events are committed beside this crate, and guarded.
#![cfg(all(feature = "gate", feature = "vocabulary"))]
#![forbid(unsafe_code)]

#[test]
fn contracts_stay_compatible() {
    commerce_contracts::assert_compatible!();
}
