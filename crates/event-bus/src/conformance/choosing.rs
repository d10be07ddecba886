//! Cases about what a subscription asks for: filters, where it begins, which topics.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use commerce_contracts::CloudEvent;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, number};
use crate::backend::Backend;
use crate::bus::EventBus;
use crate::capabilities::Capabilities;
use crate::decorator::Decorator;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::message::Message;
use crate::name::TopicName;
use crate::pattern::TopicPattern;
use crate::subscription::{Order, Start, Subscription};

/// A message of a tenant.
fn of(stage: &Stage<'_>, tenant: &str, number: u64) -> Result<Message, Failure> {
    let Message { topic, event, .. } = stage.message(Some("a"), number)?;
    let event = event
        .with_subject(format!("{tenant}/{number}"))?
        .with_extension("tenant", tenant)?;
    Ok(Message::new(topic, event))
}

/// The backend, as if it claimed nothing: what is refused then is refused to everybody, whatever their backend can do.
#[derive(Debug)]
struct Unassuming(EventBus);

#[async_trait]
impl Decorator for Unassuming {
    fn inner(&self) -> &dyn Backend {
        self.0.backend().as_ref()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }
}

fn unsupported<T>(what: &str, outcome: Result<T, Error>) -> Result<(), Failure> {
    let Err(error) = outcome else {
        return Err(Failure::new(format!(
            "{what} is not claimed, and was not refused"
        )));
    };
    ensure_eq!(error.kind(), ErrorKind::Unsupported, "{what}: {error}");
    ensure!(
        !error.is_retryable(),
        "{what}: nobody learns it by trying: {error}"
    );
    Ok(())
}

pub(super) async fn what_is_not_claimed_is_refused(stage: &Stage<'_>) -> Result<(), Failure> {
    let unassuming = EventBus::new(Arc::new(Unassuming(stage.bus.clone())));
    for bus in [&stage.bus, &unassuming] {
        let can = bus.capabilities();
        let subscription = || stage.subscription().order(Order::Unordered);
        let mut asked = Vec::new();
        if !can.seek {
            let time = Start::Time(Utc::now());
            asked.push(("a beginning at a time", subscription().start(time)));
            let position = Start::Position("1".to_owned());
            asked.push(("a beginning at a position", subscription().start(position)));
        }
        if !can.filters {
            let filter = Filter::new().equals("subject", "a");
            asked.push(("a filter", subscription().filter(filter)));
        }
        if !can.ordered {
            asked.push(("an order per key", subscription().order(Order::PerKey)));
        }
        for (what, subscription) in asked {
            let refused = bus.subscribe(subscription.clone()).await;
            let told = refused.as_ref().err().map(ToString::to_string);
            unsupported(what, refused)?;
            let told = told.unwrap_or_default();
            ensure!(told.contains(bus.backend().name()), "who cannot: {told}");
            // Refused before anything was made of it.
            let Subscription { topic, name, .. } = &subscription;
            let made = bus.backlog(topic, name).await;
            ensure!(
                made.is_err(),
                "{what} was refused, and left a subscription behind"
            );
        }
        if !can.patterns {
            let pattern = TopicPattern::new("conformance.*")?;
            let name = stage.subscription().name;
            let make = move |topic| Subscription::new(topic, name.clone());
            unsupported("a pattern", bus.subscribe_matching(pattern, make).await)?;
        }
        if !can.delayed {
            // It is refused alone.
            let mut subscriber = stage.subscribe(&stage.subscription()).await?;
            let later = stage
                .message(Some("a"), 2)?
                .with_delay(Duration::from_mins(1));
            let batch = vec![
                stage.message(Some("a"), 1)?,
                later,
                stage.message(Some("a"), 3)?,
            ];
            let mut results = bus.publish_batch(batch).await;
            ensure_eq!(results.len(), 3, "one result per message");
            let later = results.remove(1).map_err(|error| error.into_parts().1);
            unsupported("a message for later", later)?;
            for result in results {
                result?;
            }
            let seen = stage.take_all(&mut subscriber, 2).await?;
            ensure_eq!(seen, [1, 3], "the rest of the batch");
        }
    }
    Ok(())
}

pub(super) async fn a_filter_passes_what_it_wants(stage: &Stage<'_>) -> Result<(), Failure> {
    let filters = [
        (Filter::new().equals("tenant", "acme"), vec![0, 3]),
        (Filter::new().prefix("subject", "ac"), vec![0, 3]),
        (
            Filter::new().any_of("tenant", ["beta", "gamma"]),
            vec![1, 2],
        ),
        (Filter::new().exists("tenant"), vec![0, 1, 2, 3]),
        (
            Filter::new().exists("tenant").equals("subject", "beta/1"),
            vec![1],
        ),
        (Filter::new().equals("type", "another.type.v1"), vec![]),
        (
            Filter::new().equals("source", "/conformance"),
            vec![0, 1, 2, 3, 4],
        ),
    ];
    let mut members = Vec::new();
    for (filter, wanted) in filters {
        let subscription = stage.subscription().filter(filter);
        members.push((stage.subscribe(&subscription).await?, wanted));
    }
    for (number, tenant) in ["acme", "beta", "gamma", "acme"].into_iter().enumerate() {
        stage.bus.publish(of(stage, tenant, number as u64)?).await?;
    }
    stage.publish(Some("a"), [4]).await?;
    for (mut subscriber, wanted) in members {
        let filter = subscriber.subscription().filter.clone();
        let seen = stage.take_all(&mut subscriber, wanted.len()).await?;
        ensure_eq!(seen, wanted, "what {filter:?} passed");
        stage.silence(&mut subscriber).await?;
    }
    Ok(())
}

pub(super) async fn what_is_not_wanted_is_settled(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage
        .subscription()
        .filter(Filter::new().equals("tenant", "acme"));
    let mut subscriber = stage.subscribe(&subscription).await?;
    for number in 0..50 {
        stage.bus.publish(of(stage, "beta", number)?).await?;
    }
    stage.bus.publish(of(stage, "acme", 50)?).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [50],
        "what is wanted, behind what is not"
    );
    let Subscription { topic, name, .. } = &subscription;
    stage
        .eventually("nothing waits", async || {
            Ok(stage.bus.backlog(topic, name).await?.is_drained())
        })
        .await?;
    ensure_eq!(
        stage.bus.backlog(topic, name).await?.dead,
        0,
        "dead letters of what is not wanted"
    );
    subscriber.close().await;
    // Settled for the subscription, not for one member: without the filter they do not come back.
    let everything = subscription.filter(Filter::new());
    let mut subscriber = stage.subscribe(&everything).await?;
    stage.silence(&mut subscriber).await
}

pub(super) async fn a_subscription_begins_at_a_time(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.publish(Some("a"), 0..3).await?;
    sleep(Duration::from_millis(50)).await;
    let time = Utc::now();
    sleep(Duration::from_millis(50)).await;
    // A paused clock stands still for the backend too: what comes now is later in any case.
    stage.publish(Some("a"), 3..5).await?;
    let mut subscriber = stage
        .subscribe(&stage.subscription().start(Start::Time(time)))
        .await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 2).await?,
        [3, 4],
        "what was published since"
    );
    let long_ago = Start::Time(chrono::DateTime::UNIX_EPOCH);
    let mut all = stage
        .subscribe(&stage.subscription().start(long_ago))
        .await?;
    ensure_eq!(
        stage.take_all(&mut all, 5).await?,
        [0, 1, 2, 3, 4],
        "what was published since 1970"
    );
    let to_come = Start::Time(Utc::now() + chrono::TimeDelta::hours(1));
    let mut none = stage
        .subscribe(&stage.subscription().start(to_come))
        .await?;
    stage.silence(&mut none).await
}

pub(super) async fn a_subscription_begins_at_a_position(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut positions = Vec::new();
    for number in 0..5 {
        let accepted = stage.bus.publish(stage.message(Some("a"), number)?).await?;
        positions.extend(accepted.position);
    }
    ensure_eq!(positions.len(), 5, "the positions told");
    let start = Start::Position(positions[2].clone());
    let mut subscriber = stage.subscribe(&stage.subscription().start(start)).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 3).await?,
        [2, 3, 4],
        "what is at the position and after it"
    );
    stage.silence(&mut subscriber).await?;
    let nonsense = Start::Position("no position at all".to_owned());
    let Err(error) = stage
        .bus
        .subscribe(stage.subscription().start(nonsense))
        .await
    else {
        return Err(Failure::new("it began at a position that is none"));
    };
    ensure_eq!(error.kind(), ErrorKind::Config, "the error");
    Ok(())
}

pub(super) async fn a_pattern_follows_its_topics(stage: &Stage<'_>) -> Result<(), Failure> {
    let root = format!("conformance.p{}", Uuid::new_v4().simple());
    let topic = |name: &str| TopicName::new(format!("{root}.{name}"));
    let message = |name: &str, number: u64| {
        let event = CloudEvent::new("/conformance", "conformance.case.run.v1")?
            .with_data("text/plain", number.to_string().into_bytes())?;
        Ok::<_, Failure>(Message::new(topic(name)?, event))
    };
    stage.bus.publish(message("one", 1)?).await?;
    let pattern = TopicPattern::new(format!("{root}.*"))?;
    let name = stage.subscription().name;
    let make = move |topic| Subscription::new(topic, name.clone());
    let mut subscriber = stage.bus.subscribe_matching(pattern, make).await?;
    let mut seen = Vec::new();
    for number in [1, 2, 3] {
        let next = timeout(stage.factory.patience(), subscriber.next()).await;
        let next = next.map_err(|_| Failure::new(format!("only {seen:?} came")))?;
        let delivery = next?.ok_or_else(|| Failure::new("the subscriber ended"))?;
        seen.push(number_of_topic(&delivery)?);
        delivery.ack().await?;
        match number {
            // Made after the subscription, and followed from its first message.
            1 => drop(stage.bus.publish(message("two", 2)?).await?),
            2 => drop(stage.bus.publish(message("one", 3)?).await?),
            _ => {}
        }
    }
    let expected = [("one", 1), ("two", 2), ("one", 3)];
    ensure_eq!(
        seen,
        expected.map(|(topic, number)| (topic.to_owned(), number)),
        "what came of which topic"
    );
    let outside = message("two.deeper", 4)?;
    drop(stage.bus.publish(outside).await?);
    let more = timeout(stage.factory.watch(), subscriber.next()).await;
    ensure!(more.is_err(), "a topic that does not match came: {more:?}");
    subscriber.close().await;
    Ok(())
}

fn number_of_topic(delivery: &crate::Delivery) -> Result<(String, u64), Failure> {
    let topic = delivery.message().topic.as_str();
    let last = topic.rsplit('.').next().unwrap_or_default();
    Ok((last.to_owned(), number(delivery)?))
}
