//! Two clocks, which all processes on one file share.
//!
//! The wall's says what time it is to people: when a message was published, and when it is due. It may be set. The
//! file's says how much time has passed: when a lease ends, and when a retry may come. Setting the wall's clock moves
//! neither, so it is the wall's and a difference to it that the file keeps. Each process counts the time that passes by a
//! clock that nobody sets; whoever notices that the wall's jumped meanwhile corrects the difference, in the transaction
//! that it is about to make, and the others take it over.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use crate::clock::Clock;

/// Milliseconds since 1970.
pub(super) type Millis = i64;

/// What two readings of one moment may differ by. What is less is no jump.
const NOISE: Millis = 50;
/// How far behind the file is about how late it is. It matters only to who opens it after the wall's clock was set back
/// while nobody had it open.
const STEP: Millis = 1000;

/// How far the file's clock is ahead of the wall's, and how late it was there when somebody last said so.
const READ: &str = "SELECT ahead, reached FROM clock";
/// 1: ahead, 2: reached.
const WRITE: &str = "UPDATE clock SET ahead = ?1, reached = ?2";

/// One moment, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) wall: Millis,
    /// The file's.
    pub(super) steady: Millis,
}

/// Both clocks, as one process reads them.
#[derive(Debug)]
pub(super) struct FileClock {
    wall: Clock,
    last: Mutex<Reading>,
}

/// What the file's clock showed.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    steady: Millis,
    /// What the file said by how much it was ahead of the wall's.
    ahead: Millis,
}

/// The time of a transaction. Once that is in the file, so is what this says of the clock.
#[must_use = "what was read counts when the transaction is committed"]
pub(super) struct Reached {
    pub(super) now: Now,
    reading: Reading,
}

impl FileClock {
    /// Where the file's clock is now. It goes on where it was, at least: whatever the wall's says.
    pub(super) async fn open(
        wall: Clock,
        connection: &mut SqliteConnection,
    ) -> Result<Self, sqlx::Error> {
        let (ahead, reached): (Millis, Millis) = sqlx::query_as(READ).fetch_one(connection).await?;
        let (at, shown) = read(&wall);
        let last = Reading {
            at,
            steady: shown.saturating_add(ahead).max(reached),
            ahead,
        };
        Ok(Self {
            wall,
            last: Mutex::new(last),
        })
    }

    /// What the wall's clock shows.
    pub(super) fn wall(&self) -> Millis {
        self.wall.now().timestamp_millis()
    }

    /// What the file's clock shows, as far as this process knows.
    pub(super) fn steady(&self) -> Millis {
        self.last().counted(Instant::now())
    }

    /// Whether the wall's clock was set, and the file does not know yet.
    pub(super) fn was_set(&self) -> bool {
        let last = self.last();
        let (at, wall) = read(&self.wall);
        is_jump(last.counted(at), wall.saturating_add(last.ahead))
    }

    /// The time of a transaction that writes, at its beginning.
    pub(super) async fn begin(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<Reached, sqlx::Error> {
        let (ahead, reached): (Millis, Millis) =
            sqlx::query_as(READ).fetch_one(&mut *connection).await?;
        let (at, wall) = read(&self.wall);
        let last = *self.last();
        let (counted, told) = (last.counted(at), wall.saturating_add(ahead));
        // Another process has corrected it since: for the jump that this one noticed, if it did. Two jumps between two
        // transactions of one process would be too many; it makes one as soon as it notices the first.
        let corrected = ahead != last.ahead;
        let steady = if corrected || !is_jump(counted, told) {
            told
        } else {
            tracing::info!(
                milliseconds = told.saturating_sub(counted),
                "the clock was set; leases and retries go on as if it had not been"
            );
            counted
        };
        let reading = Reading {
            at,
            steady,
            ahead: steady.saturating_sub(wall),
        };
        if reading.ahead != ahead || steady >= reached.saturating_add(STEP) {
            sqlx::query(WRITE)
                .bind(reading.ahead)
                .bind(steady)
                .execute(connection)
                .await?;
        }
        let now = Now { wall, steady };
        Ok(Reached { now, reading })
    }

    /// The transaction is in the file.
    pub(super) fn committed(&self, reached: &Reached) {
        *self.last() = reached.reading;
    }

    fn last(&self) -> MutexGuard<'_, Reading> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn counted(&self, at: Instant) -> Millis {
        let passed = at.saturating_duration_since(self.at);
        self.steady.saturating_add(millis(passed))
    }
}

fn is_jump(counted: Millis, told: Millis) -> bool {
    counted.saturating_sub(told).saturating_abs() > NOISE
}

/// Reads the wall's clock and the one that nobody sets at one moment: a process that was put aside in between tries again.
fn read(wall: &Clock) -> (Instant, Millis) {
    const AT_ONCE: Duration = Duration::from_millis(1);
    let mut at = Instant::now();
    let mut shown = wall.now();
    for _ in 0..10 {
        if at.elapsed() <= AT_ONCE {
            break;
        }
        at = Instant::now();
        shown = wall.now();
    }
    (at, shown.timestamp_millis())
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
        let now = Utc::now().timestamp_millis();
        assert!(not_before(DateTime::<Utc>::MAX_UTC) > now);
        assert!(not_before(DateTime::<Utc>::MIN_UTC) < now);
    }
}
