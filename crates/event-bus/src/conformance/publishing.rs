//! Cases about publishing, and about what survives the way.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use commerce_contracts::CloudEvent;

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, key, number};
use crate::error::{ErrorKind, PublishError, PublishErrorKind};
use crate::message::Message;
use crate::subscription::Subscription;

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

pub(super) async fn binary_headers_survive(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let sent = stage
        .message(Some("a"), 1)?
        .with_header("signature", every_byte)?
        .with_header("empty", Bytes::new())?
        .with_header("twice", "first")?
        .with_header("twice", "second")?
        .with_header("with.dot-and_dash.9", "text ✓")?;
    stage.bus.publish(sent.clone()).await?;
    let delivery = stage.receive(&mut subscriber).await?;
    let headers = |message: &Message| {
        let owned = |(name, value): (&str, &Bytes)| (name.to_owned(), value.clone());
        message.headers.iter().map(owned).collect::<Vec<_>>()
    };
    ensure_eq!(headers(delivery.message()), headers(&sent), "the headers");
    ensure_eq!(*delivery.message(), sent, "the message");
    delivery.ack().await?;
    Ok(())
}

/// One byte of data more than the backend takes.
fn oversize(stage: &Stage<'_>, key: &str, number: u64) -> Result<Message, Failure> {
    let limit = stage.bus.capabilities().max_message_bytes;
    if limit == 0 {
        return Err(Failure::inapplicable("max_message_bytes"));
    }
    let Message { topic, event, .. } = stage.message(Some(key), number)?;
    let event = event.with_data("application/octet-stream", vec![b'x'; limit + 1])?;
    Ok(Message::new(topic, event))
}

pub(super) async fn an_oversize_message_is_refused(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let Err(error) = stage.bus.publish(oversize(stage, "a", 1)?).await else {
        return Err(Failure::new("a message beyond the limit was accepted"));
    };
    ensure_eq!(
        (error.kind(), error.error().kind()),
        (PublishErrorKind::Failed, ErrorKind::Message),
        "how it was refused: {error}"
    );
    ensure!(!error.is_retryable(), "it stays too large");
    stage.publish(Some("a"), [2]).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [2],
        "what came after it"
    );
    Ok(())
}

/// A message that weighs as much as the backend takes, of which so much are headers.
fn heaviest(stage: &Stage<'_>, number: u64, headers: usize) -> Result<Message, Failure> {
    const HEADER: usize = 4096;
    const NAME: &str = "part";
    let limit = stage.bus.capabilities().max_message_bytes;
    if limit == 0 {
        return Err(Failure::inapplicable("max_message_bytes"));
    }
    let binary = |size: usize| -> Vec<u8> {
        (0..size)
            .map(|at| u8::try_from((at + size) % 251).unwrap_or_default())
            .collect()
    };
    let mut message = stage.message(Some("a"), number)?;
    let mut left = headers;
    while left > NAME.len() {
        let size = left.min(HEADER) - NAME.len();
        message = message.with_header(NAME, binary(size))?;
        left -= size + NAME.len();
    }
    let media_type = "application/octet-stream";
    let empty = message.event.clone().with_data(media_type, Bytes::new())?;
    let Message { topic, .. } = message;
    let mut light = Message::new(topic, empty);
    light.headers = message.headers;
    let room = limit.checked_sub(light.size());
    let room = room.ok_or_else(|| Failure::inapplicable("a larger max_message_bytes"))?;
    light.event = light.event.with_data(media_type, binary(room))?;
    ensure_eq!(light.size(), limit, "the size of the message");
    Ok(light)
}

pub(super) async fn a_message_at_the_limit_survives(stage: &Stage<'_>) -> Result<(), Failure> {
    let subscription = stage.subscription();
    let mut subscriber = stage.subscribe(&subscription).await?;
    // What its headers and its data become on the way there is the backend's affair; it may not promise more than it
    // carries. A third of headers may be too much for a transport that has its own bound for them: then it says so.
    let limit = stage.bus.capabilities().max_message_bytes;
    for (number, headers) in [(1, 0), (2, limit.min(16 * 1024) / 4), (3, limit / 3)] {
        let sent = heaviest(stage, number, headers)?;
        match stage.bus.publish(sent.clone()).await {
            Err(error) if number == 3 => {
                ensure_eq!(
                    (error.kind(), error.error().kind(), error.is_retryable()),
                    (PublishErrorKind::Failed, ErrorKind::Message, false),
                    "how {headers} bytes of headers were refused: {error}"
                );
                continue;
            }
            published => published?,
        };
        let delivery = stage.receive(&mut subscriber).await?;
        // Not shown: it is large.
        ensure!(
            *delivery.message() == sent,
            "{limit} bytes, {headers} of them headers, came back changed"
        );
        if !stage.bus.capabilities().dead_letters {
            delivery.ack().await?;
            continue;
        }
        // What is added to it when it is rejected has room too.
        delivery.reject("of no use").await?;
        let Subscription { topic, name, .. } = &subscription;
        stage
            .eventually("the heaviest message is a dead letter", async || {
                let letters = stage.bus.dead_letters(topic, name, 1).await?;
                Ok(letters
                    .first()
                    .is_some_and(|letter| letter.body.as_ref() == Ok(&sent)))
            })
            .await?;
        stage.bus.purge_dead_letters(topic, name).await?;
    }
    stage.publish(Some("a"), [4]).await?;
    ensure_eq!(
        stage.take_all(&mut subscriber, 1).await?,
        [4],
        "what came after them"
    );
    Ok(())
}

pub(super) async fn a_refused_entry_hides_no_other(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let batch = vec![
        stage.message(Some("a"), 1)?,
        oversize(stage, "b", 2)?,
        stage.message(Some("c"), 3)?,
    ];
    let results = stage.bus.publish_batch(batch).await;
    let told: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().map(drop).map_err(PublishError::kind))
        .collect();
    ensure_eq!(
        told,
        [Ok(()), Err(PublishErrorKind::Failed), Ok(())],
        "what the batch reports"
    );
    let mut seen = stage.take_all(&mut subscriber, 2).await?;
    seen.sort_unstable();
    ensure_eq!(seen, [1, 3], "what came of the batch");
    stage.silence(&mut subscriber).await
}

pub(super) async fn a_deadline_is_kept(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut subscriber = stage.subscribe(&stage.subscription()).await?;
    let messages = vec![stage.message(Some("a"), 1)?, stage.message(Some("b"), 2)?];
    let results = stage.bus.publish_within(messages, Duration::ZERO).await;
    ensure_eq!(results.len(), 2, "one result per message");
    let mut accepted = 0;
    for result in results {
        match result {
            Ok(_) => accepted += 1,
            Err(error) => ensure_eq!(
                (error.kind(), error.error().kind()),
                (PublishErrorKind::Unknown, ErrorKind::Timeout),
                "what is known after the deadline"
            ),
        }
    }
    // What was accepted is there; what is unknown may be.
    let patience = stage.factory.patience();
    let results = stage
        .bus
        .publish_within(vec![stage.message(Some("c"), 3)?], patience)
        .await;
    for result in results {
        result?;
    }
    let mut seen = Vec::new();
    while !seen.contains(&3) || seen.len() < accepted + 1 {
        seen.extend(stage.take_all(&mut subscriber, 1).await?);
    }
    Ok(())
}

pub(super) async fn what_nobody_would_get_is_not_accepted(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    if stage.bus.capabilities().replay {
        return Err(Failure::inapplicable("a backend without replay"));
    }
    // A topic that is known, whose subscription is another's.
    let Err(error) = stage.bus.publish(stage.message(Some("a"), 1)?).await else {
        return Err(Failure::new(
            "a message that no subscription will ever see was accepted",
        ));
    };
    ensure_eq!(
        error.kind(),
        PublishErrorKind::Failed,
        "what is known of the message"
    );
    Ok(())
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
