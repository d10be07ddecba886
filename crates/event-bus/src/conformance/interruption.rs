//! Cases about a broker that goes away for a moment, that is started again, or whose answers are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, key, number, subscribe};
use super::{Failure, Interruption};
use crate::bus::EventBus;
use crate::error::{ErrorKind, PublishErrorKind};
use crate::message::Message;

const KEYS: u64 = 4;

/// Accepted before the interruption, and again after it.
const ON_EACH_SIDE: u64 = 20;

/// Milliseconds that a publish takes when it meets an interruption, which lasts about a second at least.
const HELD_UP: u64 = 500;

/// What became of what was published.
#[derive(Default)]
struct Published {
    accepted: BTreeSet<u64>,
    failed: BTreeSet<u64>,
}

/// How far the publishing has come, for who interrupts it, and the other way round. Both run in one task.
#[derive(Default)]
struct Progress {
    accepted: AtomicU64,
    /// Reported as failed or as unknown.
    not_accepted: AtomicU64,
    /// Since when the publish waits that is under way.
    waits_since: Mutex<Option<Instant>>,
    /// How long a publish has taken at most, in milliseconds; counted anew from the interruption on.
    longest: AtomicU64,
    waits: Notify,
    is_over: AtomicBool,
}

impl Progress {
    /// Waits for a publish, and tells whenever it has to.
    async fn under_way<T>(&self, publish: impl Future<Output = T>) -> T {
        let mut publish = pin!(publish);
        let begun = Instant::now();
        poll_fn(|context| {
            let polled = publish.as_mut().poll(context);
            let waits = polled.is_pending();
            *self.waits_since() = waits.then_some(begun);
            self.longest.fetch_max(so_far(begun), Ordering::Relaxed);
            if waits {
                self.waits.notify_one();
            }
            polled
        })
        .await
    }

    fn is_midway(&self) -> bool {
        self.accepted.load(Ordering::Relaxed) >= ON_EACH_SIDE && self.waits_since().is_some()
    }

    fn waits_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.waits_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Interrupts in the middle of a publish, and makes sure that publishing felt it.
    async fn interrupted(&self, interruption: &dyn Interruption) -> Result<(), Failure> {
        while !self.is_midway() {
            self.waits.notified().await;
        }
        // The publish gets no turn before the interruption has begun.
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let before = (count(&self.accepted), count(&self.not_accepted));
        self.longest.store(0, Ordering::Relaxed);
        interruption.interrupt().await;
        let accepted = count(&self.accepted) - before.0;
        let waits_since = *self.waits_since();
        let is_held_up = waits_since.is_some() && accepted < ON_EACH_SIDE;
        // It may have begun some time after it was asked for, and have ended some time before it says so, as when a broker that
        // was started again is asked how it is. A publish that waits still has had no turn to tell for how long.
        let longest = waits_since.map_or(0, so_far).max(count(&self.longest));
        let was_held_up = longest >= HELD_UP;
        ensure!(
            is_held_up || was_held_up || count(&self.not_accepted) > before.1,
            "the interruption interrupted nothing: {accepted} publishes were accepted while it lasted, and none waited"
        );
        self.is_over.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Milliseconds.
fn so_far(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

type Breakable = (EventBus, Box<dyn Interruption>);

pub(super) async fn an_interruption_loses_nothing(stage: &Stage<'_>) -> Result<(), Failure> {
    let ordered = stage.bus.capabilities().ordered;
    loses_nothing(stage, stage.breakable().await?, ordered).await
}

pub(super) async fn a_restart_of_the_broker_loses_nothing(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    loses_nothing(stage, stage.restartable().await?, false).await
}

pub(super) async fn order_outlasts_a_restart_of_the_broker(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    loses_nothing(stage, stage.restartable().await?, true).await
}

async fn loses_nothing(
    stage: &Stage<'_>,
    (bus, interruption): Breakable,
    ordered: bool,
) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = subscribe(&bus, &subscription).await?;
    let progress = Progress::default();
    let publishing = publish_through(stage, &bus, &progress);
    let interrupting = progress.interrupted(&*interruption);
    let (published, ()) = tokio::try_join!(publishing, interrupting)?;

    // Everything accepted comes, in order per key where that is asked for; repeated perhaps, but what was refused never.
    let mut seen = BTreeSet::new();
    let mut last = BTreeMap::<String, u64>::new();
    let deadline = Instant::now() + stage.factory.patience();
    while !published.accepted.is_subset(&seen) {
        ensure!(
            Instant::now() < deadline,
            "accepted, and it did not come: {:?}",
            published.accepted.difference(&seen).collect::<Vec<_>>()
        );
        let next = timeout(Duration::from_secs(1), subscriber.next()).await;
        // An error tells of the interruption; the subscription goes on.
        let Ok(Ok(next)) = next else { continue };
        let delivery = next.ok_or_else(|| Failure::new("the subscriber ended"))?;
        let (key, number) = (key(&delivery)?, number(&delivery)?);
        if seen.insert(number) {
            let before = last.insert(key.clone(), number);
            ensure!(
                !ordered || before < Some(number),
                "key {key}: {number} came for the first time after {before:?}"
            );
        }
        // One whose connection is gone comes again.
        match delivery.ack().await {
            Err(error) if !settles_later(error.source.kind()) => {
                return Err(error.source.into());
            }
            _ => {}
        }
    }
    let refused: Vec<_> = published.failed.intersection(&seen).collect();
    ensure!(
        refused.is_empty(),
        "reported as failed, and came: {refused:?}"
    );
    Ok(())
}

fn settles_later(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::LeaseLost | ErrorKind::Unavailable | ErrorKind::Timeout
    )
}

/// Publishes one after the other until it was interrupted and has gone on; what is unknown is neither accepted nor failed.
async fn publish_through(
    stage: &Stage<'_>,
    bus: &EventBus,
    progress: &Progress,
) -> Result<Published, Failure> {
    let mut published = Published::default();
    let mut accepted_after = 0;
    let deadline = Instant::now() + stage.factory.patience();
    let mut n = 0;
    while accepted_after < ON_EACH_SIDE {
        let is_over = progress.is_over.load(Ordering::Relaxed);
        ensure!(
            Instant::now() < deadline,
            "of {n} publishes {} were accepted, {accepted_after} of them after the interruption (over: {is_over})",
            published.accepted.len()
        );
        let message = stage.message(Some(&format!("key-{}", n % KEYS)), n)?;
        let result = progress.under_way(bus.publish(message)).await;
        let counter = match &result {
            Ok(_) => &progress.accepted,
            Err(_) => &progress.not_accepted,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(_) => {
                published.accepted.insert(n);
                accepted_after += u64::from(is_over);
            }
            Err(error) if error.kind() == PublishErrorKind::Failed => {
                published.failed.insert(n);
            }
            Err(_) => {}
        }
        n += 1;
        sleep(Duration::from_millis(10)).await;
    }
    Ok(published)
}

pub(super) async fn what_is_held_through_an_interruption_settles_or_comes_again(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    settles_or_comes_again(stage, stage.breakable().await?).await
}

pub(super) async fn what_is_held_through_a_restart_settles_or_comes_again(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    settles_or_comes_again(stage, stage.restartable().await?).await
}

async fn settles_or_comes_again(
    stage: &Stage<'_>,
    (bus, interruption): Breakable,
) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = subscribe(&bus, &subscription).await?;
    for result in bus
        .publish_batch(vec![
            stage.message(Some("a"), 1)?,
            stage.message(Some("a"), 2)?,
        ])
        .await
    {
        result?;
    }
    let held = stage.receive(&mut subscriber).await?;
    ensure_eq!(number(&held)?, 1, "the first");
    interruption.interrupt().await;
    let settled = held.ack().await.is_ok();
    let mut expected: BTreeSet<u64> = [2].into();
    if !settled {
        expected.insert(1);
    }
    let mut seen = Vec::new();
    let deadline = Instant::now() + stage.factory.patience();
    while !expected.iter().all(|number| seen.contains(number)) {
        ensure!(Instant::now() < deadline, "only {seen:?} came");
        let next = timeout(Duration::from_secs(1), subscriber.next()).await;
        let Ok(Ok(Some(delivery))) = next else {
            continue;
        };
        let number = number(&delivery)?;
        if delivery.ack().await.is_ok() {
            seen.push(number);
        }
    }
    ensure!(
        settled || seen[0] == 1,
        "the next of the key came before the one that was not settled: {seen:?}"
    );
    ensure!(
        !settled || !seen.contains(&1),
        "what was acked came again: {seen:?}"
    );
    Ok(())
}

pub(super) async fn a_lost_confirm_is_no_acceptance(stage: &Stage<'_>) -> Result<(), Failure> {
    let (bus, interruption) = stage.breakable().await?;
    // By a connection that stays whole.
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    publish_until_accepted(stage, &bus, &stage.message(Some("a"), 0)?).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [0],
        "what was confirmed"
    );
    if !interruption.hold_answers().await {
        return Err(Failure::inapplicable("hold_answers"));
    }
    let message = stage.message(Some("a"), 1)?;
    let mut publishing = tokio::spawn({
        let (bus, message) = (bus.clone(), message.clone());
        async move { bus.publish(message).await }
    });
    // It has arrived; only who published it cannot know.
    let delivery = loop {
        let delivery = stage.receive(&mut subscriber).await?;
        if number(&delivery)? == 1 {
            break delivery;
        }
        // The first took more than one attempt.
        delivery.ack().await?;
    };
    let early = timeout(stage.factory.watch(), &mut publishing).await;
    ensure!(
        !matches!(early, Ok(Ok(Ok(_)))),
        "accepted, and no confirm can have come"
    );
    interruption.interrupt().await;
    let patience = stage.factory.patience();
    let outcome = match early {
        Ok(outcome) => outcome?,
        Err(_) => timeout(patience, publishing)
            .await
            .map_err(|_| Failure::new(format!("no outcome within {patience:?}")))??,
    };
    delivery.ack().await?;
    // It came: to have asked the broker again and be sure now is as good as not to know.
    if let Err(error) = outcome {
        ensure_eq!(
            error.kind(),
            PublishErrorKind::Unknown,
            "how a publish ends that arrived and was not confirmed ({error})"
        );
        publish_until_accepted(stage, &bus, &message).await?;
    }
    publish_until_accepted(stage, &bus, &stage.message(Some("a"), 2)?).await?;
    // Repeating is safe: perhaps it comes once more, and nothing else changes.
    let mut seen = stage.take_all(&mut subscriber, 1).await?;
    while seen.last() != Some(&2) {
        ensure_eq!(
            seen.last(),
            Some(&1),
            "what comes before the next of the key"
        );
        seen.extend(stage.take_all(&mut subscriber, 1).await?);
    }
    stage.silence(&mut subscriber).await
}

async fn publish_until_accepted(
    stage: &Stage<'_>,
    bus: &EventBus,
    message: &Message,
) -> Result<(), Failure> {
    let deadline = Instant::now() + stage.factory.patience();
    while let Err(error) = bus.publish(message.clone()).await {
        ensure!(
            Instant::now() < deadline,
            "not accepted after the interruption: {error}"
        );
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

pub(super) async fn what_waits_outlasts_a_restart(stage: &Stage<'_>) -> Result<(), Failure> {
    // Longer than a broker takes to be there again, most of the time; the case holds either way.
    const DELAY: Duration = Duration::from_secs(20);
    let (bus, broker) = stage.restartable().await?;
    let subscription = stage.subscription();
    let mut subscriber = subscribe(&bus, &subscription).await?;
    // What it waits in is in use already: a server that is killed right after it made a place may not know it any more.
    let soon = stage.message(Some("a"), 0)?;
    bus.publish(soon.with_delay(Duration::from_secs(1))).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [0],
        "what was delayed before"
    );
    bus.publish(stage.message(Some("a"), 1)?).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(number(&delivery)?, 1, "what is rejected");
    delivery.reject("of no use").await?;
    let published = Instant::now();
    let late = stage.message(Some("a"), 2)?.with_delay(DELAY);
    bus.publish(late).await?;
    broker.interrupt().await;
    let deadline = Instant::now() + stage.factory.patience();
    let delivery = loop {
        ensure!(Instant::now() < deadline, "what was delayed did not come");
        // An error tells of the restart; the subscription goes on.
        let next = timeout(Duration::from_secs(1), subscriber.next()).await;
        if let Ok(Ok(Some(delivery))) = next {
            break delivery;
        }
    };
    ensure_eq!(number(&delivery)?, 2, "what was delayed");
    let waited = published.elapsed();
    ensure!(
        waited >= DELAY,
        "a message for {DELAY:?} later came after {waited:?}"
    );
    delivery.ack().await?;
    let letters = bus
        .dead_letters(&subscription.topic, &subscription.name, 10)
        .await?;
    ensure_eq!(letters.len(), 1, "dead letters after the restart");
    Ok(())
}
