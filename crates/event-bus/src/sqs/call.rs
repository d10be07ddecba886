//! Messages between our types and the SDK's.

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    Message as Received, MessageAttributeValue, MessageSystemAttributeName as System,
    SendMessageBatchRequestEntry,
};
use bytes::Bytes;

use super::fault::{Fault, once};
use super::names::FIFO;
use super::topology::{Queue, Topology};
use super::wire::{Value, Wire};
use tokio::time::Instant;

/// What a receive asks for, beside the body.
const SYSTEM: [System; 4] = [
    System::ApproximateReceiveCount,
    System::ApproximateFirstReceiveTimestamp,
    System::SentTimestamp,
    System::MessageGroupId,
];

/// A message as it was received.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) id: String,
    pub(super) handle: String,
    pub(super) group: Option<String>,
    /// How many times it was received, this time included.
    pub(super) receives: u32,
    /// Milliseconds since 1970, as SQS tells them.
    pub(super) first_received: Option<i64>,
    pub(super) sent: Option<i64>,
    pub(super) wire: Wire,
}

/// A message on its way into a queue or a topic.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) wire: Wire,
    /// For FIFO queues and topics.
    pub(super) group: String,
    pub(super) deduplication: String,
    /// Seconds; for standard queues.
    pub(super) delay: i32,
}

/// Receives up to ten messages, and waits for the first.
pub(super) async fn receive(
    topology: &Topology,
    queue: &Queue,
    most: usize,
    visibility: i32,
    wait: std::time::Duration,
) -> Result<Vec<Parcel>, Fault> {
    let most = i32::try_from(most.clamp(1, 10)).unwrap_or(10);
    let wait_seconds = i32::try_from(wait.as_secs()).unwrap_or(20);
    let request = topology
        .sqs
        .receive_message()
        .queue_url(&queue.url)
        .max_number_of_messages(most)
        .visibility_timeout(visibility)
        .wait_time_seconds(wait_seconds)
        .message_attribute_names("All")
        .set_message_system_attribute_names(Some(SYSTEM.to_vec()));
    let answer = async { Ok(request.send().await?) };
    let deadline = Instant::now() + wait + topology.config.request_timeout;
    let messages = once(deadline, answer).await?.messages;
    Ok(messages
        .unwrap_or_default()
        .into_iter()
        .map(parcel)
        .collect())
}

fn parcel(message: Received) -> Parcel {
    let system = message.attributes.unwrap_or_default();
    let number = |name: System| system.get(&name).and_then(|text| text.parse::<i64>().ok());
    let attributes = message.message_attributes.unwrap_or_default();
    let value = |value: MessageAttributeValue| {
        let kind = value.data_type;
        match value.binary_value {
            Some(bytes) => Value::Binary {
                kind,
                bytes: Bytes::from(bytes.into_inner()),
            },
            None => Value::Text {
                kind,
                text: value.string_value.unwrap_or_default(),
            },
        }
    };
    Parcel {
        id: message.message_id.unwrap_or_default(),
        handle: message.receipt_handle.unwrap_or_default(),
        group: system.get(&System::MessageGroupId).cloned(),
        receives: number(System::ApproximateReceiveCount)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(1),
        first_received: number(System::ApproximateFirstReceiveTimestamp),
        sent: number(System::SentTimestamp),
        wire: Wire {
            body: message.body.unwrap_or_default(),
            attributes: attributes
                .into_iter()
                .map(|(name, it)| (name, value(it)))
                .collect(),
        },
    }
}

/// Sends a batch to a queue; one result for each, in their order. The outer error is of the whole request.
pub(super) async fn send(
    topology: &Topology,
    queue: &Queue,
    batch: &[&Outgoing],
    deadline: Instant,
) -> Result<Vec<Result<(), Fault>>, Fault> {
    let entries = batch.iter().enumerate().map(|(at, outgoing)| {
        let mut entry = SendMessageBatchRequestEntry::builder()
            .id(at.to_string())
            .message_body(&outgoing.wire.body);
        for (name, value) in &outgoing.wire.attributes {
            entry = entry.message_attributes(name, sqs_value(value)?);
        }
        if queue.fifo {
            entry = entry
                .message_group_id(&outgoing.group)
                .message_deduplication_id(&outgoing.deduplication);
        } else if outgoing.delay > 0 {
            entry = entry.delay_seconds(outgoing.delay);
        }
        entry.build().map_err(|error| incomplete(&error))
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let request = topology.sqs.send_message_batch().queue_url(&queue.url);
    let request = request.set_entries(Some(entries));
    let answer = once(deadline, async { Ok(request.send().await?) }).await?;
    let mut results = unanswered(batch.len());
    for entry in answer.successful() {
        put(&mut results, entry.id(), Ok(()));
    }
    for entry in answer.failed() {
        put(&mut results, entry.id(), Err(Fault::of_sqs_entry(entry)));
    }
    Ok(results)
}

/// Publishes a batch to a topic; one result for each, in their order. The outer error is of the whole request.
pub(super) async fn publish(
    sns: &aws_sdk_sns::Client,
    topic: &str,
    batch: &[&Outgoing],
    deadline: Instant,
) -> Result<Vec<Result<(), Fault>>, Fault> {
    let fifo = topic.ends_with(FIFO);
    let entries = batch.iter().enumerate().map(|(at, outgoing)| {
        let mut entry = aws_sdk_sns::types::PublishBatchRequestEntry::builder()
            .id(at.to_string())
            .message(&outgoing.wire.body);
        for (name, value) in &outgoing.wire.attributes {
            entry = entry.message_attributes(name, sns_value(value)?);
        }
        if fifo {
            entry = entry
                .message_group_id(&outgoing.group)
                .message_deduplication_id(&outgoing.deduplication);
        }
        entry.build().map_err(|error| incomplete(&error))
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let request = sns.publish_batch().topic_arn(topic);
    let request = request.set_publish_batch_request_entries(Some(entries));
    let answer = once(deadline, async { Ok(request.send().await?) }).await?;
    let mut results = unanswered(batch.len());
    for entry in answer.successful() {
        put(&mut results, entry.id().unwrap_or_default(), Ok(()));
    }
    for entry in answer.failed() {
        let fault = Fault::of_entry(entry.code(), entry.message(), entry.sender_fault());
        put(&mut results, entry.id(), Err(fault));
    }
    Ok(results)
}

/// One result for each entry, none known yet.
pub(super) fn unanswered(count: usize) -> Vec<Result<(), Fault>> {
    (0..count).map(|_| Err(Fault::unanswered())).collect()
}

/// Entries are named by their place.
pub(super) fn put(results: &mut [Result<(), Fault>], id: &str, result: Result<(), Fault>) {
    if let Some(place) = id.parse().ok().and_then(|at: usize| results.get_mut(at)) {
        *place = result;
    }
}

pub(super) fn incomplete(error: &aws_sdk_sqs::error::BuildError) -> Fault {
    Fault::new(crate::error::ErrorKind::Backend, error.to_string())
}

fn sqs_value(value: &Value) -> Result<MessageAttributeValue, Fault> {
    let builder = MessageAttributeValue::builder();
    let builder = match value {
        Value::Text { kind, text } => builder.data_type(kind).string_value(text),
        Value::Binary { kind, bytes } => builder
            .data_type(kind)
            .binary_value(Blob::new(bytes.to_vec())),
    };
    builder.build().map_err(|error| incomplete(&error))
}

fn sns_value(value: &Value) -> Result<aws_sdk_sns::types::MessageAttributeValue, Fault> {
    let builder = aws_sdk_sns::types::MessageAttributeValue::builder();
    let builder = match value {
        Value::Text { kind, text } => builder.data_type(kind).string_value(text),
        Value::Binary { kind, bytes } => builder
            .data_type(kind)
            .binary_value(Blob::new(bytes.to_vec())),
    };
    builder.build().map_err(|error| incomplete(&error))
}
