//! The time of day, which somebody may set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// What a bus takes for the time of day: the system's clock, or as far from it as this one was set. Clones are one clock.
///
/// A bus has the system's unless it is [connected](crate::Connector::clock) with another, which tests do to set it while
/// the bus works:
///
/// ```
/// # use chrono::TimeDelta;
/// # use commerce_event_bus::{Clock, Error, EventBus};
/// # async fn set() -> Result<(), Error> {
/// let clock = Clock::new();
/// let bus = EventBus::connector("sqlite:bus.db").clock(clock.clone()).connect().await?;
/// clock.set_ahead(TimeDelta::hours(6));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// In microseconds.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock, until it is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it shows. A time that no clock can show is the last one that it can.
    pub fn now(&self) -> DateTime<Utc> {
        let ahead = TimeDelta::microseconds(self.ahead.load(Ordering::Acquire));
        let now = Utc::now().checked_add_signed(ahead);
        now.unwrap_or(if ahead > TimeDelta::zero() {
            DateTime::<Utc>::MAX_UTC
        } else {
            DateTime::<Utc>::MIN_UTC
        })
    }

    /// Sets it ahead of the system's clock, or behind it, from now on.
    pub fn set_ahead(&self, ahead: TimeDelta) {
        let most = if ahead > TimeDelta::zero() {
            i64::MAX
        } else {
            i64::MIN
        };
        let ahead = ahead.num_microseconds().unwrap_or(most);
        self.ahead.store(ahead, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_set_together() {
        let clock = Clock::new();
        let same = clock.clone();
        assert!((same.now() - Utc::now()).abs() < TimeDelta::minutes(1));
        for hours in [6, -6, 0] {
            clock.set_ahead(TimeDelta::hours(hours));
            let ahead = same.now() - Utc::now() - TimeDelta::hours(hours);
            assert!(ahead.abs() < TimeDelta::minutes(1), "{hours}: {ahead}");
        }
        clock.set_ahead(TimeDelta::MAX);
        assert_eq!(same.now(), DateTime::<Utc>::MAX_UTC);
        clock.set_ahead(TimeDelta::MIN);
        assert_eq!(same.now(), DateTime::<Utc>::MIN_UTC);
    }
}
