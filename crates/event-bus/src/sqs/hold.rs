//! How long a message may wait out of sight, so that its queue never throws it away before it is due.
//!
//! A queue counts the age of a message from when it was sent, and hiding it does not stop the count. All times here are
//! milliseconds.

/// The longest delay that SQS takes with a message, in seconds.
const LONGEST_DELAY: i64 = 900;
/// The longest that a message is hidden for, in seconds: less than the 12 hours since it was received.
const LONGEST_HOLD: i64 = 12 * 60 * 60 - 60;

/// What becomes of a message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It is hidden for so many seconds.
    Hide(i32),
    /// A copy takes its place, whose age begins anew, delayed by so many seconds.
    Renew(i32),
}

/// What becomes of a message of this age, in a queue that keeps it for `retention`, until it is due.
pub(super) fn hold(age: i64, retention: i64, due: i64, now: i64) -> Hold {
    let retention = retention.max(0);
    let age = age.clamp(0, retention);
    let wanted = seconds_until(due, now).max(1);
    if age >= retention / 2 {
        // Of the copy's time a quarter, so that whoever is late finds it there all the same.
        return Hold::Renew(seconds(wanted.min(LONGEST_DELAY).min(retention / 4000)));
    }
    // Of what is left a half, for the same reason.
    let left = (retention - age) / 2000;
    Hold::Hide(seconds(wanted.min(LONGEST_HOLD).min(left)))
}

/// The delay that a message is sent with, in seconds.
pub(super) fn delay(due: i64, now: i64) -> i32 {
    seconds(seconds_until(due, now).min(LONGEST_DELAY))
}

/// Whether nothing of the wait is left after so many seconds.
pub(super) fn covers(seconds: i32, due: i64, now: i64) -> bool {
    i64::from(seconds) >= seconds_until(due, now)
}

/// Whole seconds, rounded up.
fn seconds_until(due: i64, now: i64) -> i64 {
    due.saturating_sub(now).max(0).saturating_add(999) / 1000
}

fn seconds(seconds: i64) -> i32 {
    i32::try_from(seconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 24 * 60 * 60 * 1000;

    #[test]
    fn nothing_is_due_early() {
        for (at, now, seconds) in [(1000, 0, 1), (1001, 0, 2), (1, 0, 1), (0, 0, 0), (0, 5, 0)] {
            assert_eq!(seconds_until(at, now), seconds);
        }
        assert_eq!(delay(i64::MAX, 0), 900);
        assert!(covers(delay(900_000, 0), 900_000, 0) && covers(0, 0, 5));
        assert!(!covers(delay(900_001, 0), 900_001, 0));
        assert_eq!(seconds_until(i64::MAX, i64::MIN), i64::MAX / 1000);
    }

    #[test]
    fn what_waits_for_days_is_hidden_by_hours_and_renewed_at_half_its_time() {
        let due = 30 * DAY;
        assert_eq!(hold(0, 14 * DAY, due, 0), Hold::Hide(12 * 3600 - 60));
        assert_eq!(hold(7 * DAY, 14 * DAY, due, 0), Hold::Renew(900));
        assert_eq!(hold(20 * DAY, 14 * DAY, due, 0), Hold::Renew(900));
        assert_eq!(hold(0, DAY, due, 0), Hold::Hide(12 * 3600 - 60));
        // A queue that keeps messages for less than the longest hold.
        assert_eq!(hold(0, 4 * 3_600_000, due, 0), Hold::Hide(2 * 3600));
        assert_eq!(hold(0, 14 * DAY, 1500, 0), Hold::Hide(2));
    }

    proptest! {
        #[test]
        fn nothing_is_held_beyond_its_time(
            age in any::<i64>(),
            retention in any::<i64>(),
            due in any::<i64>(),
            now in any::<i64>(),
        ) {
            let left = retention.max(0) - age.clamp(0, retention.max(0));
            match hold(age, retention, due, now) {
                Hold::Hide(seconds) => {
                    prop_assert!(i64::from(seconds) * 1000 <= left);
                    prop_assert!((0..=LONGEST_HOLD).contains(&i64::from(seconds)));
                }
                Hold::Renew(seconds) => {
                    prop_assert!(i64::from(seconds) * 1000 <= retention.max(0));
                    prop_assert!((0..=LONGEST_DELAY).contains(&i64::from(seconds)));
                }
            }
        }

        /// A message from when it is sent until it is due, met late every time.
        #[test]
        fn a_message_outlives_every_wait(
            hours in 1_i64..=14 * 24,
            due in 0..=60 * DAY,
            late in 0_i64..60_000,
        ) {
            let retention = hours * 3_600_000;
            let (mut sent, mut now) = (0, i64::from(delay(due, 0)) * 1000 + late);
            let mut steps = 0;
            while now < due {
                prop_assert!(now - sent < retention, "thrown away at the age of {}", now - sent);
                let seconds = match hold(now - sent, retention, due, now) {
                    Hold::Hide(seconds) => seconds,
                    Hold::Renew(seconds) => {
                        sent = now;
                        seconds
                    }
                };
                prop_assert!(seconds > 0);
                now += i64::from(seconds) * 1000 + late;
                steps += 1;
                prop_assert!(steps < 20_000);
            }
            prop_assert!(now - sent < retention);
            prop_assert!(now < due + 1000 + late, "late by {}", now - due);
        }
    }
}
