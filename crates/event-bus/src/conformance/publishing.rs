//! Cases about publishing, and about what survives the way.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::DateTime;
use commerce_contracts::CloudEvent;

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, key, number};
use crate::error::{ErrorKind, PublishErrorKind};
use crate::message::Message;

pub(super) async fn attributes_and_data_survive(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let time = DateTime::from_timestamp_millis(1_764_000_000_123)
        .ok_or_else(|| Failure::new("a valid time"))?;
    let event = CloudEvent::new("/conformance/s%C3%B6urce?x=1", "conformance.case.run.v1")?
        .with_id("an id, with \"quotes\" and ünïcödé ✓")?
        .with_subject("a subject")?
        .with_time(time)?
        .with_key("a key / with : signs")?
        .with_data("application/octet-stream", every_byte)?
        .with_data_schema("urn:conformance:schema")?
        .with_transaction_id("transaction-1")?
        .with_causation_id("cause-1")?
        .with_trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?
        .with_trace_state("vendor=value")?
        .with_sequence("00000017")?
        .with_extension("comexample", "an extension of one's own")?;
    let sent = Message::new(stage.topic.clone(), event);
    stage.bus.publish(sent.clone()).await?;

    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(delivery.attempt(), 1, "the first attempt");
    ensure_eq!(*delivery.message(), sent, "the message");
    ensure_eq!(
        delivery.message().event.data(),
        sent.event.data(),
        "the data"
    );
    delivery.ack().await?;
    Ok(())
}

pub(super) async fn no_data_and_empty_data_differ(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let event = || CloudEvent::new("/conformance", "conformance.case.run.v1")?.with_key("one");
    stage
        .bus
        .publish(Message::new(stage.topic.clone(), event()?))
        .await?;
    let empty = event()?.with_data("text/plain", Bytes::new())?;
    stage
        .bus
        .publish(Message::new(stage.topic.clone(), empty))
        .await?;

    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(delivery.message().event.data(), None, "no data");
    delivery.ack().await?;
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(
        delivery.message().event.data(),
        Some(&Bytes::new()),
        "empty data"
    );
    delivery.ack().await?;
    Ok(())
}

pub(super) async fn a_large_payload_survives(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    // Under the 256 KiB that the smallest of the brokers takes.
    let large: Vec<u8> = (0..200_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap_or_default())
        .collect();
    let event = CloudEvent::new("/conformance", "conformance.case.run.v1")?
        .with_data("application/octet-stream", large.clone())?;
    stage
        .bus
        .publish(Message::new(stage.topic.clone(), event))
        .await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let same = delivery
        .message()
        .event
        .data()
        .is_some_and(|data| data[..] == large[..]);
    ensure!(same, "200 kB came back changed");
    delivery.ack().await?;
    Ok(())
}

pub(super) async fn a_batch_reports_every_entry(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let keys = ["a", "b", "c"];
    let messages: Result<Vec<_>, _> = (0..90)
        .map(|n| stage.message(Some(keys[(n % 3) as usize]), n))
        .collect();
    let results = stage.bus.publish_batch(messages?).await;
    ensure_eq!(results.len(), 90, "one result per message");
    for result in results {
        result?;
    }
    ensure!(
        stage.bus.publish_batch(Vec::new()).await.is_empty(),
        "nothing published has no result"
    );

    let mut last = BTreeMap::new();
    for _ in 0..90 {
        let delivery = stage.receive(&mut subscriber).await?;
        let (key, number) = (key(&delivery)?, number(&delivery)?);
        let before = last.insert(key.clone(), number);
        ensure!(
            before < Some(number),
            "key {key}: {number} came after {before:?}"
        );
        delivery.ack().await?;
    }
    Ok(())
}

pub(super) async fn positions_are_told(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let accepted = stage.bus.publish(stage.message(Some("a"), 1)?).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    ensure_eq!(
        accepted.position.as_deref(),
        Some(delivery.position()),
        "the position told when published"
    );
    delivery.ack().await?;
    Ok(())
}

pub(super) async fn many_publishers_at_once_lose_nothing(stage: &Stage<'_>) -> Result<(), Failure> {
    const PUBLISHERS: u64 = 8;
    const EACH: u64 = 25;
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let bus = stage.bus.clone();
        let key = format!("publisher-{publisher}");
        let messages: Result<Vec<_>, _> = (0..EACH).map(|n| stage.message(Some(&key), n)).collect();
        let messages = messages?;
        publishers.spawn(async move {
            for message in messages {
                bus.publish(message).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(published) = publishers.join_next().await {
        published??;
    }
    let mut next = BTreeMap::<String, u64>::new();
    for _ in 0..PUBLISHERS * EACH {
        let delivery = stage.receive(&mut subscriber).await?;
        let (key, number) = (key(&delivery)?, number(&delivery)?);
        let expected = next.entry(key.clone()).or_default();
        ensure_eq!(number, *expected, "the next of {key}");
        *expected += 1;
        delivery.ack().await?;
    }
    stage.silence(&mut subscriber).await
}

pub(super) async fn a_closed_bus_gives_the_message_back(stage: &Stage<'_>) -> Result<(), Failure> {
    let bus = stage.connect().await?;
    bus.close(stage.factory.patience()).await?;
    let sent = stage.message(Some("a"), 1)?;
    let Err(error) = bus.publish(sent.clone()).await else {
        return Err(Failure::new("a closed bus took a message"));
    };
    ensure_eq!(
        error.kind(),
        PublishErrorKind::Failed,
        "what is known of the message"
    );
    ensure_eq!(error.error().kind(), ErrorKind::Closed, "the reason");
    ensure!(!error.is_retryable(), "a closed bus stays closed");
    ensure_eq!(error.into_parts().0, sent, "the message given back");
    Ok(())
}
