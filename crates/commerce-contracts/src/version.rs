//! Versions of an event: how they are told apart, and the step from one to the next.

use std::fmt;

use crate::avro::WriterSchemas;
use crate::cloud_event::CloudEvent;
use crate::event::{DecodeError, Event};

/// What every identifier of a contract's schema begins with.
pub(crate) const DATA_SCHEMA: &str = "urn:contract:";

/// How an event of an older version becomes one of the next. Implement [`From`], or [`TryFrom`] where an old event may hold what
/// the new version refuses: both are taken.
///
/// The text of `TryFrom`'s error is shown in logs and dead letters, so it must not quote the event.
#[diagnostic::on_unimplemented(
    message = "`{Older}` cannot be upcast to `{Self}`",
    label = "there is no way from this version to the next",
    note = "write `impl From<{Older}> for {Self}`, or `TryFrom` where an old event may hold what the new version refuses"
)]
pub trait UpcastFrom<Older>: Sized {
    /// The event in the newer version, or what in it the newer version refuses.
    fn upcast_from(older: Older) -> Result<Self, String>;
}

#[diagnostic::do_not_recommend]
impl<Older, Newer> UpcastFrom<Older> for Newer
where
    Newer: TryFrom<Older>,
    <Newer as TryFrom<Older>>::Error: fmt::Display,
{
    fn upcast_from(older: Older) -> Result<Self, String> {
        Newer::try_from(older).map_err(|error| error.to_string())
    }
}

/// Reads an event of version `Older`, or of one that is upcast to it, and takes the last step.
#[doc(hidden)]
pub fn upcast<Older: Event, Newer: Event + UpcastFrom<Older>>(
    event: &CloudEvent,
    writers: &WriterSchemas,
) -> Result<Newer, DecodeError> {
    let older = event.decode_with::<Older>(writers)?;
    Newer::upcast_from(older).map_err(|detail| DecodeError::Upcast {
        from: Older::TYPE,
        to: Newer::TYPE,
        detail,
    })
}

/// Compares names while compiling, where `==` cannot.
#[doc(hidden)]
pub const fn same_name(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Name and version of a CloudEvents type: `orders.order.placed.v2` is version 2 of `orders.order.placed`.
pub(crate) fn split(event_type: &str) -> Option<(&str, u32)> {
    let (name, digits) = event_type.rsplit_once(".v")?;
    let is_canonical = digits.starts_with(|first| matches!(first, '1'..='9'))
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_canonical
        .then(|| digits.parse().ok())
        .flatten()
        .map(|version| (name, version))
}

/// Whether the type is of the event `name` with a version that is not written as versions are, or with none. What has a name of its own
/// (`orders.order.placed.late.v1`) is another event.
pub(crate) fn is_oddly_spelled(name: &str, event_type: &str) -> bool {
    let Some(rest) = event_type.strip_prefix(name) else {
        return false;
    };
    let Some(rest) = rest.strip_prefix('.') else {
        return rest.is_empty();
    };
    let number = rest.strip_prefix(['v', 'V']).unwrap_or(rest);
    let is_marked = number.len() < rest.len();
    let number = number.trim_start_matches(['.', '-', '_', '+']);
    // A number without its mark may begin the name of another event; the last segment of that is its version.
    number.starts_with(char::is_numeric) && (is_marked || split(event_type).is_none())
}

/// What to do about a version that is not read, in the words that follow "the event is version 3 of …,".
pub(crate) fn advice(found: u32, oldest: u32, newest: u32) -> String {
    if found > newest {
        format!(
            "and version {newest} is the newest known here: deploy a consumer that knows version {found}, then deliver the event again"
        )
    } else {
        format!(
            "and version {oldest} is the oldest read here: give the type of version {oldest} `upcasts = …`, the type of version {}",
            oldest.saturating_sub(1)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{is_oddly_spelled, same_name, split};

    #[test]
    fn a_version_is_written_in_one_way() {
        assert_eq!(
            split("orders.order.placed.v12"),
            Some(("orders.order.placed", 12))
        );
        assert_eq!(split("orders.v1.placed.v2"), Some(("orders.v1.placed", 2)));
        assert_eq!(split("a.v4294967295"), Some(("a", u32::MAX)));
        for none in [
            "",
            "a",
            "a.v",
            "a.v0",
            "a.v01",
            "a.v+1",
            "a.v1x",
            "a.V1",
            "a.v4294967296",
            "a.v１",
        ] {
            assert_eq!(split(none), None, "{none}");
        }
    }

    #[test]
    fn a_version_that_is_written_in_another_way_is_told_from_another_event() {
        for odd in [
            "a.b",
            "a.b.v03",
            "a.b.V3",
            "a.b.v3-beta",
            "a.b.v3.1",
            "a.b.v.3",
            "a.b.v-3",
            "a.b.v+3",
            "a.b.3",
            "a.b.1.0",
            "a.b.v4294967296",
            "a.b.v0",
            "a.b.v３",
        ] {
            assert!(is_oddly_spelled("a.b", odd), "{odd}");
        }
        for other in [
            "a.b.c",
            "a.b.late.v1",
            "a.bc",
            "a.bc.v03",
            "a",
            "x.a.b",
            "a.b.v",
            "a.b.very",
            "a.b.vip.v1",
            "a.b.3d.v1",
            "",
        ] {
            assert!(!is_oddly_spelled("a.b", other), "{other}");
        }
    }

    #[test]
    fn names_are_the_same_when_every_byte_is() {
        assert!(same_name("orders.order", "orders.order"));
        assert!(!same_name("orders.order", "orders.orders"));
        assert!(!same_name("orders.order", "orders.ordeR"));
    }
}
