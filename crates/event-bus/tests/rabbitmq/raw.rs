//! RabbitMQ past the bus.

use bytes::Bytes;
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

/// A channel of its own; keeps its connection open.
pub(crate) async fn channel(url: &str) -> Channel {
    let connection = Connection::connect(
        url.split('?').next().unwrap(),
        ConnectionProperties::default(),
    )
    .await
    .unwrap();
    connection.create_channel().await.unwrap()
}

/// Publishes to an exchange, confirmed.
pub(crate) async fn publish(url: &str, exchange: &str, properties: BasicProperties, body: Bytes) {
    let channel = channel(url).await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    let confirm = channel
        .basic_publish(
            exchange.into(),
            "".into(),
            BasicPublishOptions::default(),
            &body,
            properties,
        )
        .await
        .unwrap();
    assert!(confirm.await.unwrap().is_ack());
}

/// Takes the first message of a queue.
pub(crate) async fn get(channel: &Channel, queue: &str) -> Option<BasicGetMessage> {
    channel
        .basic_get(queue.into(), BasicGetOptions { no_ack: true })
        .await
        .unwrap()
}

pub(crate) async fn delete(channel: &Channel, queue: &str) {
    channel
        .queue_delete(queue.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
}

/// How many messages of a queue are not with a consumer.
pub(crate) async fn ready(channel: &Channel, queue: &str) -> u32 {
    let look = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.into(), look, FieldTable::default())
        .await
        .unwrap()
        .message_count()
}
