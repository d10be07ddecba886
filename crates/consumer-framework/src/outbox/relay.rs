//! Publishes what the outbox holds.

use std::collections::HashSet;
use std::time::Duration;

use commerce_event_bus::EventBus;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::aside::Aside;
use super::entries;
use super::lease::Lease;
use super::wave;
use crate::backoff::Backoff;
use crate::drained::Drained;
use crate::failure::Failure;
use crate::storage::{Database, Error};

/// How long to wait for the database when the lease is given up at the end.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);

/// Publishes a database's outbox to a bus: in order per topic and key, in batches, each entry
/// deleted once the bus has confirmed it.
///
/// An entry that the bus refuses holds back the later entries of its key, and no others; a topic of which
/// the bus takes nothing for now holds back no other topic. Several relays may run on one database, in one process or in many: one is active, the others stand by.
/// A commit in the same process (through the same [`Database`] or a clone of it) wakes the relay at
/// once; commits elsewhere are found by looking every second.
#[derive(Debug)]
#[must_use = "a relay does nothing until it runs"]
pub struct Relay {
    database: Database,
    bus: EventBus,
    batch: usize,
    poll_every: Duration,
    lease: Duration,
    backoff: Backoff,
    drain_within: Duration,
}

/// What a look at the outbox came to.
enum Round {
    /// Something was published or set aside: look again at once.
    Progress,
    /// There is nothing to publish now; what was set aside, if anything, is to be tried again then.
    Idle { next_due: Option<Instant> },
}

impl Relay {
    /// A relay from a database to a bus.
    pub fn new(database: Database, bus: EventBus) -> Self {
        Self {
            database,
            bus,
            batch: 256,
            poll_every: Duration::from_secs(1),
            lease: Duration::from_secs(15),
            backoff: Backoff::exponential(Duration::from_millis(100), Duration::from_secs(15)),
            drain_within: Duration::from_secs(5),
        }
    }

    /// How many entries are read and published at a time (256).
    pub fn batch(mut self, entries: usize) -> Self {
        self.batch = entries.clamp(1, 4096);
        self
    }

    /// How often to look for commits of other processes (every second).
    pub fn poll_every(mut self, pause: Duration) -> Self {
        self.poll_every = pause.max(Duration::from_millis(1));
        self
    }

    /// How long another relay waits before it takes over from one that has died (15 s).
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(100));
        self
    }

    /// The pauses for a key or a topic that is refused, which are all topics while the bus is down, and
    /// for a database that is down (from 100 ms to 15 s). There is no last attempt: nothing is dropped.
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long to go on publishing at the end (5 s).
    pub fn drain_within(mut self, within: Duration) -> Self {
        self.drain_within = within;
        self
    }

    /// Publishes until `shutdown` is ready, then what is left, within the drain time. What is left
    /// after that stays in the database for the next start, and the result is not clean.
    pub async fn run_until(self, shutdown: impl Future<Output = ()> + Send) -> Drained {
        let stop = CancellationToken::new();
        let mut lease = Lease::new(self.database.clone(), self.lease);
        let drained = {
            let work = self.work(&mut lease, &stop);
            tokio::pin!(work, shutdown);
            tokio::select! {
                drained = &mut work => drained,
                () = &mut shutdown => {
                    stop.cancel();
                    timeout(self.drain_within, work).await.unwrap_or(Drained::INCOMPLETE)
                }
            }
        };
        // When this fails the lease runs out by itself.
        let _ = timeout(RELEASE_WITHIN, lease.release()).await;
        drained
    }

    /// Stands by until the lease is free, then publishes; again and again.
    async fn work(&self, lease: &mut Lease, stop: &CancellationToken) -> Drained {
        let mut failures = 0;
        let mut installed = false;
        loop {
            let taken = self.install_and_take(&mut installed, lease).await;
            let pause = match taken {
                Ok(true) => {
                    tracing::debug!("outbox relay active");
                    failures = 0;
                    if let Some(drained) = self.active(lease, stop).await {
                        return drained;
                    }
                    tracing::warn!("outbox relay lost its lease and stands by");
                    lease.look_again_after()
                }
                Ok(false) => {
                    failures = 0;
                    lease.look_again_after()
                }
                Err(error) => {
                    failures += 1;
                    self.backoff_after(failures, error)
                }
            };
            if stop.is_cancelled() && failures == 0 {
                // Somebody else publishes.
                return Drained::CLEAN;
            }
            pause_for(pause, stop).await;
        }
    }

    async fn install_and_take(
        &self,
        installed: &mut bool,
        lease: &mut Lease,
    ) -> Result<bool, Error> {
        if !*installed {
            self.database.install().await?;
            *installed = true;
        }
        lease.take().await
    }

    /// Publishes for as long as the lease holds; `None` when it is lost.
    async fn active(&self, lease: &mut Lease, stop: &CancellationToken) -> Option<Drained> {
        let mut commits = self.database.wakes();
        let mut aside = Aside::new(self.backoff);
        let mut failures = 0;
        loop {
            // What is committed from here on is either seen by this round or wakes the next wait.
            commits.mark_unchanged();
            match self.renew_and_round(lease, &mut aside).await {
                Ok(None) => return None,
                Ok(Some(Round::Progress)) => failures = 0,
                Ok(Some(Round::Idle { next_due })) => {
                    failures = 0;
                    if stop.is_cancelled() && next_due.is_none() {
                        return Some(Drained::CLEAN);
                    }
                    let look = Instant::now() + self.poll_every;
                    let until = look.min(next_due.unwrap_or(look)).min(lease.renew_at());
                    if stop.is_cancelled() {
                        sleep_until(until).await;
                    } else {
                        tokio::select! {
                            _ = commits.changed() => {}
                            () = sleep_until(until) => {}
                            () = stop.cancelled() => {}
                        }
                    }
                }
                Err(error) => {
                    failures += 1;
                    pause_for(self.backoff_after(failures, error), stop).await;
                }
            }
        }
    }

    fn backoff_after(&self, failures: u32, error: Error) -> Duration {
        let pause = self.backoff.pause(failures);
        tracing::warn!(
            error = Failure::from(error).reason(),
            failures,
            ?pause,
            "the outbox cannot be read or written; the relay tries again"
        );
        pause
    }

    async fn renew_and_round(
        &self,
        lease: &mut Lease,
        aside: &mut Aside,
    ) -> Result<Option<Round>, Error> {
        if lease.renew_at() <= Instant::now() {
            lease.take().await?;
        }
        if !lease.is_held() {
            return Ok(None);
        }
        let now = Instant::now();
        let mut page = entries::read(&self.database, self.batch, &aside.without(now)).await?;
        if page.is_empty() {
            // As of the moment for which it was read: what came due since then was left out.
            let next_due = aside.next_due(now);
            return Ok(Some(Round::Idle { next_due }));
        }
        while !page.is_empty() {
            let wave = wave::first_of_each_lane(&mut page);
            let batches: Vec<_> =
                wave::into_batches(wave, |topic| aside.is_suspect(topic)).collect();
            for batch in batches {
                // A lease that was lost during a batch ends the page there.
                if !lease.is_held() {
                    return Ok(None);
                }
                let outcome = wave::publish(&self.bus, batch, lease).await;
                let confirmed = outcome.confirmed.iter().map(|entry| entry.position);
                entries::delete(&self.database, &confirmed.collect::<Vec<_>>()).await?;
                let now = Instant::now();
                aside.learn(&outcome, now);
                let refused: HashSet<&str> = outcome
                    .refused
                    .iter()
                    .map(|(entry, _)| entry.lane.as_str())
                    .collect();
                page.retain(|entry| {
                    !refused.contains(entry.lane.as_str())
                        && !aside.is_topic_waiting(&entry.topic, now)
                });
            }
        }
        Ok(Some(Round::Progress))
    }
}

/// Waits; the end of the wait is brought forward, once, by the order to stop.
async fn pause_for(pause: Duration, stop: &CancellationToken) {
    if stop.is_cancelled() {
        sleep(pause).await;
    } else {
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}
