//! SQS past the bus.

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use bytes::Bytes;
use commerce_event_bus::TopicName;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A client of one server.
pub(crate) struct Raw {
    sqs: aws_sdk_sqs::Client,
    prefix: String,
}

impl Raw {
    pub(crate) fn of(endpoint: &str) -> Self {
        let credentials = || Credentials::new("test", "test", None, None, "test");
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .endpoint_url(endpoint)
            .build();
        Self {
            sqs: aws_sdk_sqs::Client::from_conf(sqs),
            prefix: String::new(),
        }
    }

    /// Of a bus whose names begin as its URL says.
    pub(crate) fn with_prefix_of(mut self, url: &str) -> Self {
        let rest = url.split_once("prefix=").map_or("", |(_, rest)| rest);
        rest.split('&')
            .next()
            .unwrap_or_default()
            .clone_into(&mut self.prefix);
        self
    }

    /// The queues of a topic, those of dead letters included.
    pub(crate) async fn queues(&self, topic: &TopicName) -> Vec<String> {
        let list =
            self.sqs
                .list_queues()
                .queue_name_prefix(format!("{}{}", self.prefix, prefix(topic)));
        list.send().await.unwrap().queue_urls.unwrap_or_default()
    }

    /// The one queue of a topic that ends so.
    pub(crate) async fn queue(&self, topic: &TopicName, end: &str) -> String {
        let queues = self.queues(topic).await;
        let mut found = queues.iter().filter(|url| url.ends_with(end));
        let queue = found
            .next()
            .unwrap_or_else(|| panic!("no {end} among {queues:?}"));
        queue.clone()
    }

    /// Puts a message into a queue.
    pub(crate) async fn send(&self, queue: &str, body: &str, data: Option<Bytes>) {
        let mut request = self.sqs.send_message().queue_url(queue).message_body(body);
        if let Some(data) = data {
            let value = MessageAttributeValue::builder().data_type("Binary");
            let value = value
                .binary_value(Blob::new(data.to_vec()))
                .build()
                .unwrap();
            request = request.message_attributes("commerce-data", value);
        }
        if queue.contains(".fifo") {
            request = request
                .message_group_id("foreign")
                .message_deduplication_id(Uuid::new_v4().to_string());
        }
        request.send().await.unwrap();
    }

    pub(crate) async fn attribute(&self, queue: &str, name: QueueAttributeName) -> String {
        let request = self.sqs.get_queue_attributes().queue_url(queue);
        let answer = request.attribute_names(name.clone()).send().await.unwrap();
        answer
            .attributes
            .and_then(|mut all| all.remove(&name))
            .unwrap_or_default()
    }

    /// The queue of what is to be delivered later.
    pub(crate) async fn delayed(&self) -> String {
        let request = self.sqs.get_queue_url();
        let found = request.queue_name(format!("{}Delayed", self.prefix)).send();
        found.await.unwrap().queue_url.unwrap()
    }

    /// The same, made by other means than the bus.
    pub(crate) async fn make_delayed(&self) -> String {
        let request = self.sqs.create_queue();
        let made = request.queue_name(format!("{}Delayed", self.prefix)).send();
        made.await.unwrap().queue_url.unwrap()
    }

    /// Says for how many seconds a queue keeps messages.
    pub(crate) async fn keep_for(&self, queue: &str, seconds: u32) {
        let period = QueueAttributeName::MessageRetentionPeriod;
        let request = self.sqs.set_queue_attributes().queue_url(queue);
        let changed = request.attributes(period, seconds.to_string()).send();
        changed.await.unwrap();
    }

    pub(crate) async fn delete(&self, queue: &str) {
        self.sqs
            .delete_queue()
            .queue_url(queue)
            .send()
            .await
            .unwrap();
    }
}

/// What the names of a topic's queues begin with: the topic, or its first letters and its hash.
fn prefix(topic: &TopicName) -> String {
    let plain = topic.as_str().replace('.', "_");
    if plain.len() <= 30 {
        return format!("{plain}__");
    }
    let hash = Sha256::digest(topic.as_str().as_bytes());
    let hash = hash
        .iter()
        .take(8)
        .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    format!("{}H{hash:016X}__", &plain[..13])
}
