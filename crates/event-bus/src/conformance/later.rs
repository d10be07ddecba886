//! Cases about messages that are delivered later.

use std::time::Duration;

use tokio::time::Instant;

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, number, subscribe};

/// Beyond what rounding to whole seconds could hide.
const DELAY: Duration = Duration::from_millis(1500);
/// What a backend rounds, it may not exchange; doubled in every next round.
const APART: Duration = Duration::from_secs(2);
/// A server that stops for longer than messages are apart tells nothing of their order, for what is overdue has none. It
/// does not do so each time, over ever longer distances.
const ROUNDS: u32 = 3;

pub(super) async fn a_delayed_message_is_never_early(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let published = loop {
        let published = Instant::now();
        let late = stage.message(Some("a"), 2)?.with_delay(DELAY);
        stage.bus.publish(late).await?;
        stage.publish(Some("a"), [1]).await?;
        if published.elapsed() < DELAY {
            break published;
        }
        // The server was slower than the delay: either may be first.
        stage.take_all(&mut subscriber, 2).await?;
    };
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [1],
        "what was not delayed"
    );
    let delivery = stage.receive(&mut subscriber).await?;
    let waited = published.elapsed();
    ensure!(
        waited >= DELAY,
        "a message for {DELAY:?} later came after {waited:?}"
    );
    ensure_eq!(
        (number(&delivery)?, delivery.attempt()),
        (2, 1),
        "the delayed message and its attempt"
    );
    ensure_eq!(
        delivery.message().deliver_at,
        None,
        "when to deliver what was delivered"
    );
    delivery.ack().await?;
    stage.silence(&mut subscriber).await
}

pub(super) async fn delayed_messages_come_in_the_order_they_are_due(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let delayed = |n: u64, delay| {
        let message = stage.message(Some("a"), n)?;
        Ok::<_, Failure>(message.with_delay(delay))
    };
    let first = Duration::from_secs(1);
    let mut found = Vec::new();
    for round in 0..ROUNDS {
        let apart = APART * 2_u32.pow(round);
        let messages = vec![
            delayed(3, first + 2 * apart)?,
            delayed(1, first)?,
            delayed(2, first + apart)?,
        ];
        for result in stage.bus.publish_batch(messages).await {
            result?;
        }
        found = stage.take_all(&mut subscriber, 3).await?;
        if found == [1, 2, 3] {
            break;
        }
    }
    ensure_eq!(found, [1, 2, 3], "the order, in each of {ROUNDS} rounds");
    stage.silence(&mut subscriber).await
}

pub(super) async fn what_is_overdue_comes_at_once(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let message = stage
        .message(Some("a"), 1)?
        .with_deliver_at(chrono::DateTime::UNIX_EPOCH);
    stage.bus.publish(message).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [1],
        "what was due long ago"
    );
    Ok(())
}

pub(super) async fn a_delayed_message_survives_its_publisher(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let before = stage.connect().await?;
    let subscription = stage.subscription();
    subscribe(&before, &subscription).await?.close().await;
    let message = stage.message(Some("a"), 1)?.with_delay(DELAY);
    before.publish(message).await?;
    before.close(stage.factory.patience()).await?;
    let after = stage.connect().await?;
    let mut subscriber = subscribe(&after, &subscription).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [1],
        "what was published before"
    );
    stage.silence(&mut subscriber).await
}
