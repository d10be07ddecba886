//! Cases about a clock that somebody sets while the bus works: by hours, as after a wrong time zone or a dead battery.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, number, subscribe};
use crate::bus::EventBus;
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::subscriber::Subscriber;

/// Shorter than what is watched for, where leases are what tells that somebody is gone.
const LEASE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_millis(1500);
const JUMP: TimeDelta = TimeDelta::hours(6);
/// What is settled before the clock is set.
const SHARED: u64 = 0;
const BETWEEN_SHARED: Duration = Duration::from_millis(20);

pub(super) async fn a_clock_set_forward_takes_no_work_out_of_hands(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    nothing_moves_when_the_clock_is_set(stage, JUMP).await
}

pub(super) async fn a_clock_set_back_takes_no_work_out_of_hands(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    nothing_moves_when_the_clock_is_set(stage, -JUMP).await
}

/// One delivery is in hand and another is to be tried again, in a subscription whose members stay: the one stays there, the
/// other comes when so much time has passed, and what is published from then on comes as ever.
async fn nothing_moves_when_the_clock_is_set(
    stage: &Stage<'_>,
    ahead: TimeDelta,
) -> Result<(), Failure> {
    let clock = Clock::new();
    let buses = stage.with_clock(&clock, 2).await?;
    let subscription = stage.subscription().lease(LEASE);
    let mut first = subscribe(&buses[0], &subscription).await?;
    let mut second = subscribe(&buses[1], &subscription).await?;
    let mut members = Members {
        stage,
        first: &mut first,
        second: &mut second,
    };
    members.share(&buses[0]).await?;
    buses[0].publish(stage.message(Some("a"), 1)?).await?;
    let held = members.receive().await?;
    buses[0].publish(stage.message(Some("b"), 2)?).await?;
    let retried = members.receive().await?;
    ensure_eq!(
        (number(&held)?, number(&retried)?),
        (1, 2),
        "what was published"
    );
    let asked = Instant::now();
    retried.retry(AFTER).await?;
    clock.set_ahead(ahead);

    let again = members.receive().await?;
    let waited = asked.elapsed();
    ensure_eq!(
        (number(&again)?, again.attempt()),
        (2, 2),
        "what was to be tried again, and its attempt"
    );
    ensure!(
        waited >= AFTER,
        "a retry after {AFTER:?} came after {waited:?}"
    );
    again.ack().await?;
    let leases = LEASE * 2 + stage.factory.watch();
    members.silence(leases.saturating_sub(waited)).await?;
    held.ack().await?;

    buses[1].publish(stage.message(Some("a"), 3)?).await?;
    let dropped = members.receive().await?;
    ensure_eq!(number(&dropped)?, 3, "what was published after");
    drop(dropped);
    let again = members.receive().await?;
    ensure_eq!(number(&again)?, 3, "what was dropped after");
    again.ack().await?;
    members.silence(stage.factory.watch()).await
}

pub(super) async fn what_is_for_later_outlasts_a_clock_that_is_set(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let clock = Clock::new();
    let buses = stage.with_clock(&clock, 1).await?;
    let bus = &buses[0];
    let mut subscriber = subscribe(bus, &stage.subscription()).await?;
    for ahead in [-JUMP, JUMP] {
        let published = Instant::now();
        let late = stage.message(Some("a"), 1)?.with_delay(AFTER);
        bus.publish(late).await?;
        clock.set_ahead(ahead);
        // Who goes by the time of day has it wait for as long as the clock was set back. Nobody has it come early then; set
        // forward, the clock may show its time at once.
        let early = timeout(AFTER + stage.factory.watch(), subscriber.next()).await;
        let delivery = if let Ok(next) = early {
            next?.ok_or_else(|| Failure::new("the subscriber ended"))?
        } else {
            clock.set_ahead(TimeDelta::zero());
            stage.receive(&mut subscriber).await?
        };
        let waited = published.elapsed();
        ensure!(
            waited >= AFTER || ahead > TimeDelta::zero(),
            "a message for {AFTER:?} later came after {waited:?}"
        );
        ensure_eq!(
            (number(&delivery)?, delivery.attempt()),
            (1, 1),
            "the delayed message and its attempt"
        );
        delivery.ack().await?;
        clock.set_ahead(TimeDelta::zero());
    }
    bus.publish(stage.message(Some("a"), 2)?).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [2],
        "what was not delayed"
    );
    stage.silence(&mut subscriber).await
}

/// Two members of one subscription.
struct Members<'stage> {
    stage: &'stage Stage<'stage>,
    first: &'stage mut Subscriber,
    second: &'stage mut Subscriber,
}

impl Members<'_> {
    /// Waits until both have had some of the work. Who joins is given a share of it, and what another has in hand of that
    /// share goes there too if it is not settled in time: so the contract has it, whatever the clock does, and a case
    /// about the clock begins when that is over. Where one member has it all, nothing is given to who joins.
    async fn share(&mut self, bus: &EventBus) -> Result<(), Failure> {
        let deadline = Instant::now() + self.stage.factory.patience();
        let mut first_had_some = false;
        let mut second_had_some = false;
        while !(first_had_some && second_had_some) && Instant::now() < deadline {
            let key = Uuid::new_v4().to_string();
            bus.publish(self.stage.message(Some(&key), SHARED)?).await?;
            let delivery = tokio::select! {
                delivery = self.stage.receive(self.first) => {
                    first_had_some = true;
                    delivery?
                }
                delivery = self.stage.receive(self.second) => {
                    second_had_some = true;
                    delivery?
                }
            };
            delivery.ack().await?;
            sleep(BETWEEN_SHARED).await;
        }
        Ok(())
    }

    /// The next delivery to either.
    async fn receive(&mut self) -> Result<Delivery, Failure> {
        let patience = self.stage.factory.patience();
        let next = timeout(patience, self.next()).await;
        next.map_err(|_| Failure::new(format!("no delivery came within {patience:?}")))?
    }

    /// No delivery to either may come for so long.
    async fn silence(&mut self, watch: Duration) -> Result<(), Failure> {
        match timeout(watch, self.next()).await {
            Err(_) => Ok(()),
            Ok(Ok(delivery)) => Err(Failure::new(format!(
                "a delivery that must not come: {delivery:?}"
            ))),
            Ok(Err(failure)) => Err(failure),
        }
    }

    /// What was shared may come again, as after every change of members.
    async fn next(&mut self) -> Result<Delivery, Failure> {
        loop {
            let next = tokio::select! {
                next = self.first.next() => next,
                next = self.second.next() => next,
            };
            let delivery =
                next?.ok_or_else(|| Failure::new("a member ended while its bus was open"))?;
            if number(&delivery)? != SHARED {
                return Ok(delivery);
            }
            delivery.ack().await?;
        }
    }
}
