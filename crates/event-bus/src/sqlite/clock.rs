//! The clock that all processes on one file share: the wall's.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Milliseconds since 1970.
pub(super) type Millis = i64;

pub(super) fn now() -> Millis {
    Utc::now().timestamp_millis()
}

/// The first millisecond that lies at least so long after `now`, which itself may be nearly over.
pub(super) fn after(now: Millis, delay: Duration) -> Millis {
    if delay.is_zero() {
        return now;
    }
    now.saturating_add(millis(delay)).saturating_add(1)
}

/// A duration in milliseconds. A hundred years stand for ever.
pub(super) fn millis(duration: Duration) -> Millis {
    const FOR_EVER: Millis = 100 * 365 * 24 * 60 * 60 * 1000;
    Millis::try_from(duration.as_millis())
        .unwrap_or(FOR_EVER)
        .min(FOR_EVER)
}

/// How long until then.
pub(super) fn until(now: Millis, then: Millis) -> Duration {
    Duration::from_millis(u64::try_from(then.saturating_sub(now)).unwrap_or(0))
}

/// A stored time as a time.
pub(super) fn time(at: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).unwrap_or_default()
}
