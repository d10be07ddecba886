//! Values of what fields can be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use chrono::{DateTime, NaiveDate, Utc};
use commerce_contracts::commerce::{Currency, Money};
use proptest::prelude::*;
use uuid::Uuid;

/// Any value of the type that its contract allows.
pub(crate) trait Sample: Debug + Sized + 'static {
    fn sample() -> BoxedStrategy<Self>;
}

macro_rules! any {
    ($($type:ty),+) => {$(
        impl Sample for $type {
            fn sample() -> BoxedStrategy<Self> {
                any::<$type>().boxed()
            }
        }
    )+};
}

any!(
    bool, i16, i32, i64, u8, u16, u32, u64, f32, f64, String, char
);

impl<T: Sample> Sample for Option<T> {
    fn sample() -> BoxedStrategy<Self> {
        proptest::option::of(T::sample()).boxed()
    }
}

impl<T: Sample> Sample for Box<T> {
    fn sample() -> BoxedStrategy<Self> {
        T::sample().prop_map(Box::new).boxed()
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample() -> BoxedStrategy<Self> {
        proptest::collection::vec(T::sample(), 0..4).boxed()
    }
}

impl<T: Sample + Ord> Sample for BTreeSet<T> {
    fn sample() -> BoxedStrategy<Self> {
        proptest::collection::btree_set(T::sample(), 0..4).boxed()
    }
}

impl<K: Sample + Ord, V: Sample> Sample for BTreeMap<K, V> {
    fn sample() -> BoxedStrategy<Self> {
        proptest::collection::btree_map(K::sample(), V::sample(), 0..4).boxed()
    }
}

impl<const N: usize> Sample for [u8; N] {
    fn sample() -> BoxedStrategy<Self> {
        any::<[u8; N]>().boxed()
    }
}

impl Sample for Uuid {
    fn sample() -> BoxedStrategy<Self> {
        any::<u128>().prop_map(Uuid::from_u128).boxed()
    }
}

impl Sample for NaiveDate {
    fn sample() -> BoxedStrategy<Self> {
        // The years that a date has in JSON: 1 to 9999.
        (1..3_652_000)
            .prop_map(|days| NaiveDate::from_num_days_from_ce_opt(days).unwrap())
            .boxed()
    }
}

impl Sample for DateTime<Utc> {
    fn sample() -> BoxedStrategy<Self> {
        (-62_135_596_800_000_000_i64..253_402_300_800_000_000)
            .prop_map(|micros| DateTime::from_timestamp_micros(micros).unwrap())
            .boxed()
    }
}

impl Sample for Money {
    fn sample() -> BoxedStrategy<Self> {
        any::<i64>()
            .prop_map(|minor| Money::new(minor, Currency::BRL))
            .boxed()
    }
}
