//! Cases about dead letters.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use tokio::time::{Instant, sleep};

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, number, number_of};
use crate::dead_letter::DeadLetter;
use crate::filter::Filter;
use crate::message::Message;
use crate::redrive::Redrive;
use crate::subscriber::Subscriber;
use crate::subscription::Subscription;

/// Waits until a subscription has so many dead letters.
async fn dead_letters(
    stage: &Stage<'_>,
    of: &Subscription,
    count: usize,
) -> Result<Vec<DeadLetter>, Failure> {
    stage
        .eventually(&format!("there are {count} dead letters"), async || {
            Ok(stage
                .bus
                .dead_letters(&of.topic, &of.name, 1000)
                .await?
                .len()
                == count)
        })
        .await?;
    Ok(stage.bus.dead_letters(&of.topic, &of.name, 1000).await?)
}

async fn reject(
    stage: &Stage<'_>,
    subscriber: &mut Subscriber,
    count: usize,
) -> Result<(), Failure> {
    for _ in 0..count {
        stage.receive(subscriber).await?.reject("of no use").await?;
    }
    Ok(())
}

pub(super) async fn what_is_rejected_is_kept(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    let sent = stage.message(Some("a"), 7)?;
    let accepted = stage.bus.publish(sent.clone()).await?;
    stage
        .receive(&mut subscriber)
        .await?
        .retry(Duration::ZERO)
        .await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let position = delivery.position().to_owned();
    delivery.reject("of no use: ✗").await?;
    stage.silence(&mut subscriber).await?;

    let letters = dead_letters(stage, &subscription, 1).await?;
    let letter = &letters[0];
    ensure_eq!(letter.body, Ok(sent), "the message kept");
    ensure_eq!(letter.reason(), "of no use: ✗", "the reason");
    ensure_eq!(letter.attempts, 2, "the attempts");
    ensure_eq!(letter.topic, subscription.topic, "the topic");
    ensure_eq!(letter.subscription, subscription.name, "the subscription");
    ensure!(!letter.position.is_empty(), "the position is not told");
    ensure_eq!(
        letter.position,
        position,
        "the position, as the delivery told it"
    );
    if stage.bus.capabilities().positions {
        let told = Some(letter.position.clone());
        ensure_eq!(
            told,
            accepted.position,
            "the position, as publishing told it"
        );
    }
    let backlog = stage
        .bus
        .backlog(&subscription.topic, &subscription.name)
        .await?;
    ensure_eq!(backlog.dead, 1, "the dead letters in the backlog");
    Ok(())
}

pub(super) async fn a_rejected_head_frees_its_key(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    stage.publish(Some("a"), 0..3).await?;
    reject(stage, &mut subscriber, 1).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 2).await?,
        [1, 2],
        "the rest of the key"
    );
    Ok(())
}

pub(super) async fn each_subscription_has_its_own(stage: &Stage<'_>) -> Result<(), Failure> {
    let (one, other) = (stage.subscription(), stage.subscription());
    let mut first = stage.subscribe(&one).await?;
    let mut second = stage.subscribe(&other).await?;
    stage.publish(Some("a"), [1]).await?;
    reject(stage, &mut first, 1).await?;
    ensure_eq!(
        stage.take_all(&mut second, 1).await?,
        [1],
        "what the other subscription saw"
    );
    dead_letters(stage, &one, 1).await?;
    dead_letters(stage, &other, 0).await?;
    ensure_eq!(
        stage
            .bus
            .redrive(&one.topic, &one.name, Redrive::all().limit(10))
            .await?,
        1,
        "how many were redriven"
    );
    ensure_eq!(
        stage.take_all(&mut first, 1).await?,
        [1],
        "what was redriven"
    );
    stage.silence(&mut second).await
}

pub(super) async fn redrive_keeps_the_order_per_key(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.publish(Some("a"), 0..5).await?;
    stage.publish(Some("b"), 10..15).await?;
    reject(stage, &mut subscriber, 10).await?;
    dead_letters(stage, &subscription, 10).await?;
    let redriven = stage
        .bus
        .redrive(
            &subscription.topic,
            &subscription.name,
            Redrive::all().limit(100),
        )
        .await?;
    ensure_eq!(redriven, 10, "how many were redriven");
    let seen = stage.take_all(&mut subscriber, 10).await?;
    let (a, b): (Vec<u64>, Vec<u64>) = seen.into_iter().partition(|n| *n < 10);
    ensure_eq!(a, [0, 1, 2, 3, 4], "the order of key a");
    ensure_eq!(b, [10, 11, 12, 13, 14], "the order of key b");
    dead_letters(stage, &subscription, 0).await?;
    Ok(())
}

pub(super) async fn a_redriven_message_starts_again(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    let sent = stage.message(Some("a"), 1)?;
    stage.bus.publish(sent.clone()).await?;
    stage
        .receive(&mut subscriber)
        .await?
        .retry(Duration::ZERO)
        .await?;
    reject(stage, &mut subscriber, 1).await?;
    dead_letters(stage, &subscription, 1).await?;
    stage
        .bus
        .redrive(
            &subscription.topic,
            &subscription.name,
            Redrive::all().limit(1),
        )
        .await?;
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(delivery.attempt(), 1, "the attempt after a redrive");
    ensure_eq!(*delivery.message(), sent, "the message redriven");
    delivery.ack().await?;
    Ok(())
}

pub(super) async fn redrive_takes_the_oldest_first(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.publish(Some("a"), 0..4).await?;
    reject(stage, &mut subscriber, 4).await?;
    dead_letters(stage, &subscription, 4).await?;
    let redriven = stage
        .bus
        .redrive(
            &subscription.topic,
            &subscription.name,
            Redrive::all().limit(2),
        )
        .await?;
    ensure_eq!(redriven, 2, "how many were redriven");
    ensure_eq!(
        stage.take_all(&mut subscriber, 2).await?,
        [0, 1],
        "the oldest"
    );
    let letters = dead_letters(stage, &subscription, 2).await?;
    let left: Result<Vec<u64>, Failure> = letters.iter().map(letter_number).collect();
    ensure_eq!(left?, [2, 3], "what is left");
    let oldest = stage
        .bus
        .dead_letters(&subscription.topic, &subscription.name, 1)
        .await?;
    ensure_eq!(oldest.len(), 1, "a list limited to one");
    ensure_eq!(letter_number(&oldest[0])?, 2, "the oldest of the list");
    Ok(())
}

fn letter_number(letter: &DeadLetter) -> Result<u64, Failure> {
    let message = letter
        .body
        .as_ref()
        .map_err(|bytes| Failure::new(bytes.reason.clone()))?;
    number_of(message)
}

pub(super) async fn purge_forgets(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.publish(Some("a"), 0..3).await?;
    reject(stage, &mut subscriber, 3).await?;
    dead_letters(stage, &subscription, 3).await?;
    let purged = stage
        .bus
        .purge_dead_letters(&subscription.topic, &subscription.name)
        .await?;
    ensure_eq!(purged, 3, "how many were purged");
    dead_letters(stage, &subscription, 0).await?;
    ensure_eq!(
        stage
            .bus
            .redrive(
                &subscription.topic,
                &subscription.name,
                Redrive::all().limit(10)
            )
            .await?,
        0,
        "what is left to redrive"
    );
    stage.silence(&mut subscriber).await
}

pub(super) async fn undecodable_bytes_are_kept_as_they_are(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    let garbage = Bytes::from_static(b"\xff\x00 this is no event {");
    if !stage
        .factory
        .put_bytes(&stage.topic, garbage.clone())
        .await?
    {
        return Err(Failure::inapplicable("put_bytes"));
    }
    stage.publish(Some("a"), [1]).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(number(&delivery)?, 1, "the event after the bytes");
    delivery.ack().await?;
    // Bytes without a key may lie behind the event, where a topic has several partitions: waiting settles them.
    for _ in 0..20 {
        stage.silence(&mut subscriber).await?;
        if !stage
            .bus
            .dead_letters(&subscription.topic, &subscription.name, 1)
            .await?
            .is_empty()
        {
            break;
        }
    }
    ensure_eq!(subscriber.undecodable(), 1, "undecodable messages counted");
    let letters = dead_letters(stage, &subscription, 1).await?;
    let Err(kept) = &letters[0].body else {
        return Err(Failure::new("the bytes became an event"));
    };
    ensure_eq!(kept.payload, Some(garbage), "the bytes kept");
    ensure!(
        letters[0].reason().starts_with("undecodable: "),
        "the reason is {:?}",
        letters[0].reason()
    );
    Ok(())
}

pub(super) async fn reasons_outlive_a_redrive(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let Subscription { topic, name, .. } = &subscription;
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.publish(Some("a"), [1]).await?;
    let before = Utc::now();
    stage
        .receive(&mut subscriber)
        .await?
        .reject("the first reason")
        .await?;
    let first = dead_letters(stage, &subscription, 1).await?.remove(0);
    stage.bus.redrive(topic, name, Redrive::all()).await?;
    // Long enough for the times of both rejections to differ, by a clock that no test can pause.
    let differs = std::time::Instant::now() + Duration::from_millis(20);
    while std::time::Instant::now() < differs {
        tokio::task::yield_now().await;
    }
    stage
        .receive(&mut subscriber)
        .await?
        .reject("the second reason")
        .await?;
    let letters = dead_letters(stage, &subscription, 1).await?;
    let letter = &letters[0];
    ensure_eq!(
        letter.reasons,
        ["the first reason", "the second reason"],
        "the reasons"
    );
    ensure_eq!(letter.attempts, 1, "the attempts since it was redriven");
    ensure_eq!(letter.key(), Some(&b"a"[..]), "the key");
    ensure_eq!(
        letter.first_failed_at,
        first.first_failed_at,
        "when it first failed, as the first letter told it"
    );
    ensure!(
        letter.rejected_at > first.rejected_at,
        "it was rejected {}, and again {}",
        first.rejected_at,
        letter.rejected_at
    );
    // A second for brokers that round, and clocks of two machines.
    let earliest = before - chrono::TimeDelta::seconds(1);
    ensure!(
        earliest <= letter.first_failed_at && letter.first_failed_at <= letter.rejected_at,
        "it first failed {}, was rejected {}, and published after {earliest}",
        letter.first_failed_at,
        letter.rejected_at
    );
    Ok(())
}

pub(super) async fn redrive_takes_what_the_filter_wants(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let Subscription { topic, name, .. } = &subscription;
    let mut subscriber = stage.subscribe(&subscription).await?;
    for n in 0..6 {
        let Message { topic, event, .. } = stage.message(Some("a"), n)?;
        let event = event.with_subject(if n % 2 == 0 { "even" } else { "odd" })?;
        stage.bus.publish(Message::new(topic, event)).await?;
    }
    reject(stage, &mut subscriber, 6).await?;
    dead_letters(stage, &subscription, 6).await?;
    let odd = Redrive::all().filter(Filter::new().equals("subject", "odd"));
    ensure_eq!(
        stage.bus.redrive(topic, name, odd.clone().limit(2)).await?,
        2,
        "how many were redriven"
    );
    ensure_eq!(
        stage.take_all(&mut subscriber, 2).await?,
        [1, 3],
        "what was redriven"
    );
    ensure_eq!(
        stage.bus.redrive(topic, name, odd).await?,
        1,
        "how many were left of them"
    );
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [5],
        "the last of them"
    );
    let left = dead_letters(stage, &subscription, 3).await?;
    let left: Result<Vec<u64>, Failure> = left.iter().map(letter_number).collect();
    ensure_eq!(left?, [0, 2, 4], "what is left");
    Ok(())
}

pub(super) async fn redrive_keeps_its_rate(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let Subscription { topic, name, .. } = &subscription;
    let mut subscriber = stage.subscribe(&subscription).await?;
    stage.publish(Some("a"), 0..5).await?;
    reject(stage, &mut subscriber, 5).await?;
    dead_letters(stage, &subscription, 5).await?;
    let rate = NonZeroU32::new(4).ok_or_else(|| Failure::new("four is not zero"))?;
    let started = Instant::now();
    let redriven = stage
        .bus
        .redrive(topic, name, Redrive::all().per_second(rate))
        .await?;
    let took = started.elapsed();
    ensure_eq!(redriven, 5, "how many were redriven");
    ensure!(
        took >= Duration::from_millis(990),
        "five at four a second took {took:?}"
    );
    ensure_eq!(
        stage.take_all(&mut subscriber, 5).await?,
        [0, 1, 2, 3, 4],
        "what was redriven"
    );
    Ok(())
}

pub(super) async fn a_rejection_outlives_the_loss_of_its_place(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let Subscription { topic, name, .. } = &subscription;
    let mut subscriber = stage.subscribe(&subscription).await?;
    // It is there and in use before it is lost.
    stage.publish(Some("a"), [1]).await?;
    let first = stage.receive(&mut subscriber).await?;
    first.reject("of no use").await?;
    dead_letters(stage, &subscription, 1).await?;
    if !stage.factory.lose_dead_letters(topic, name).await? {
        return Err(Failure::inapplicable("lose_dead_letters"));
    }
    stage.publish(Some("a"), [2]).await?;
    // Not acknowledged before it is kept: a rejection that fails gives the delivery back, to be rejected again.
    let mut delivery = stage.receive(&mut subscriber).await?;
    let deadline = Instant::now() + stage.factory.patience();
    while let Err(error) = delivery.reject("of no use").await {
        ensure!(Instant::now() < deadline, "never rejected: {error}");
        sleep(Duration::from_millis(100)).await;
        delivery = *error.delivery;
    }
    // Whether the first was lost with its place is the factory's affair.
    let rejected = async || {
        let letters = stage.bus.dead_letters(topic, name, 1000).await?;
        Ok(letters
            .last()
            .is_some_and(|letter| letter_number(letter).is_ok_and(|number| number == 2)))
    };
    stage
        .eventually("the rejected one is kept", rejected)
        .await?;
    stage.silence(&mut subscriber).await
}
