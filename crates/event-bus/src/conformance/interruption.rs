//! Cases about a broker that goes away for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, key, number, subscribe};
use crate::bus::EventBus;
use crate::error::{ErrorKind, PublishErrorKind};

const KEYS: u64 = 4;
const MESSAGES: u64 = 60;

/// What became of what was published.
#[derive(Default)]
struct Published {
    accepted: BTreeSet<u64>,
    failed: BTreeSet<u64>,
}

pub(super) async fn an_interruption_loses_nothing(stage: &Stage<'_>) -> Result<(), Failure> {
    let (bus, interruption) = stage.breakable().await?;
    let subscription = stage.subscription();
    let mut subscriber = subscribe(&bus, &subscription).await?;
    let publishing = publish_through(stage, &bus);
    let interrupting = async {
        sleep(Duration::from_millis(200)).await;
        interruption.interrupt().await;
    };
    let (published, ()) = tokio::join!(publishing, interrupting);
    let published = published?;
    ensure!(
        published.accepted.len() as u64 > KEYS,
        "hardly anything was accepted: {:?}",
        published.accepted
    );

    // Everything accepted comes, in order per key; repeated perhaps, but what was refused never.
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
                before < Some(number),
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

/// Publishes one after the other; what is unknown is neither accepted nor failed.
async fn publish_through(stage: &Stage<'_>, bus: &EventBus) -> Result<Published, Failure> {
    let mut published = Published::default();
    for n in 0..MESSAGES {
        let message = stage.message(Some(&format!("key-{}", n % KEYS)), n)?;
        match bus.publish(message).await {
            Ok(_) => published.accepted.insert(n),
            Err(error) if error.kind() == PublishErrorKind::Failed => published.failed.insert(n),
            Err(_) => false,
        };
        sleep(Duration::from_millis(10)).await;
    }
    Ok(published)
}

pub(super) async fn what_is_held_through_an_interruption_settles_or_comes_again(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let (bus, interruption) = stage.breakable().await?;
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
