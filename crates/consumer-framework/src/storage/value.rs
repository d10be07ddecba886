//! The values that a statement can be given.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A value bound to a statement: one of the types that both databases can hold natively.
///
/// It is made by `From`, so that [`Query::bind`](super::Query::bind) takes the plain Rust value, a
/// reference to a text or bytes, or an `Option` of it. A `None` keeps its type, which PostgreSQL
/// wants to know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `BOOLEAN`.
    Bool(Option<bool>),
    /// `INTEGER`.
    I32(Option<i32>),
    /// `BIGINT`.
    I64(Option<i64>),
    /// `DOUBLE PRECISION`.
    F64(Option<f64>),
    /// `TEXT`.
    Text(Option<String>),
    /// `BYTEA`; a blob on SQLite.
    Bytes(Option<Vec<u8>>),
    /// `UUID`; a blob of 16 bytes on SQLite.
    Uuid(Option<Uuid>),
    /// `TIMESTAMPTZ`; text of fixed width on SQLite. Both keep microseconds.
    Time(Option<DateTime<Utc>>),
    /// `JSONB`; text on SQLite.
    Json(Option<serde_json::Value>),
}

macro_rules! from {
    ($($rust:ty => $variant:ident),* $(,)?) => { $(
        impl From<$rust> for Value {
            fn from(value: $rust) -> Self {
                Self::$variant(Some(value.into()))
            }
        }

        impl From<Option<$rust>> for Value {
            fn from(value: Option<$rust>) -> Self {
                Self::$variant(value.map(Into::into))
            }
        }
    )* };
}

from! {
    bool => Bool,
    i32 => I32,
    i64 => I64,
    // PostgreSQL has no unsigned types: the next wider signed one holds every value.
    u32 => I64,
    f64 => F64,
    &str => Text,
    &String => Text,
    String => Text,
    &[u8] => Bytes,
    Vec<u8> => Bytes,
    Uuid => Uuid,
    DateTime<Utc> => Time,
    serde_json::Value => Json,
}

/// Time as SQLite keeps it: always as many characters, always UTC, so that the order of the texts
/// is the order of the times.
#[cfg(feature = "sqlite")]
pub(super) fn fixed_width(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, false)
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_of_times_sort_as_the_times(a in 0_i64..253_402_300_799_000_000, b in 0_i64..253_402_300_799_000_000) {
            let (a, b) = (DateTime::from_timestamp_micros(a).unwrap(), DateTime::from_timestamp_micros(b).unwrap());
            prop_assert_eq!(a.cmp(&b), fixed_width(a).cmp(&fixed_width(b)));
        }
    }
}
