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

/// The first millisecond that is not before the time.
pub(super) fn not_before(time: DateTime<Utc>) -> Millis {
    let whole = time.timestamp_millis();
    let rest = time.timestamp_subsec_nanos() % 1_000_000;
    whole.saturating_add(Millis::from(rest > 0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_due_time_is_rounded_to_later() {
        for (nanos, due) in [(0, 1_000), (1, 1_001), (999_999, 1_001), (1_000_000, 1_001)] {
            let time = DateTime::from_timestamp(1, nanos).unwrap();
            assert_eq!(not_before(time), due);
            assert!(super::time(not_before(time)) >= time);
        }
        assert!(not_before(DateTime::<Utc>::MAX_UTC) > now());
        assert!(not_before(DateTime::<Utc>::MIN_UTC) < now());
    }
}
