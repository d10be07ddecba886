//! Topics, queues and what leads from the ones to the others: found, or made where there are none.
//!
//! What exists is used as it is: whoever manages queues by other means keeps their settings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use super::config::{Config, LONGEST_RETENTION, Topics};
use super::fault::{Fault, insist};
use super::names::FIFO;
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::{Order, Subscription};

/// How far this machine's clock may be ahead of that of SQS, in seconds, and a second for what it does not tell.
const CLOCKS: i64 = 6;

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) url: String,
    pub(super) fifo: bool,
}

/// The queues of one subscription.
#[derive(Clone, Debug)]
pub(super) struct Queues {
    pub(super) main: Queue,
    pub(super) dead: Queue,
}

/// The queues of a topic without SNS, as they were listed.
struct Listed {
    at: Instant,
    queues: Arc<[Queue]>,
}

/// Finds and makes what messages go through.
pub(super) struct Topology {
    pub(super) config: Config,
    pub(super) sqs: aws_sdk_sqs::Client,
    /// None where topics are sets of queues.
    pub(super) sns: Option<aws_sdk_sns::Client>,
    topics: Mutex<HashMap<TopicName, Arc<str>>>,
    listed: Mutex<HashMap<TopicName, Listed>>,
    known: Mutex<HashMap<(TopicName, SubscriptionName), Queues>>,
    /// When a topic was last known to have a subscription.
    pub(super) heard: Mutex<HashMap<TopicName, Instant>>,
}

impl Topology {
    pub(super) async fn new(config: Config) -> Self {
        let sdk = config.sdk().await;
        // One attempt each: whoever asks knows whether it may be made again, and what is known when it failed.
        let once = aws_config::retry::RetryConfig::disabled();
        let connect = aws_config::timeout::TimeoutConfig::builder()
            .connect_timeout(config.request_timeout)
            .build();
        let mut sqs = aws_sdk_sqs::config::Builder::from(&sdk)
            .retry_config(once.clone())
            .timeout_config(connect.clone());
        if let Some(endpoint) = &config.sqs_endpoint {
            sqs = sqs.endpoint_url(endpoint);
        }
        let sns = (config.topics != Topics::None).then(|| {
            let mut sns = aws_sdk_sns::config::Builder::from(&sdk)
                .retry_config(once)
                .timeout_config(connect);
            if let Some(endpoint) = &config.sns_endpoint {
                sns = sns.endpoint_url(endpoint);
            }
            aws_sdk_sns::Client::from_conf(sns.build())
        });
        Self {
            config,
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            sns,
            topics: Mutex::default(),
            listed: Mutex::default(),
            known: Mutex::default(),
            heard: Mutex::default(),
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.config.request_timeout
    }

    /// The ARN of a topic's SNS topic, made if there is none.
    pub(super) async fn topic(
        &self,
        topic: &TopicName,
        deadline: Instant,
    ) -> Result<Arc<str>, Fault> {
        if let Some(arn) = lock(&self.topics).get(topic) {
            return Ok(Arc::clone(arn));
        }
        let Some(sns) = &self.sns else {
            return Err(Fault::new(
                ErrorKind::Backend,
                "there are no SNS topics with topics=none",
            ));
        };
        let fifo = self.config.topics == Topics::Fifo;
        let name = self.config.names.topic(topic, fifo);
        let made = insist(deadline, || async {
            let mut request = sns.create_topic().name(&name);
            if fifo {
                request = request.attributes("FifoTopic", "true");
            }
            Ok(request.send().await?)
        });
        let arn: Arc<str> = made.await?.topic_arn.unwrap_or_default().into();
        lock(&self.topics).insert(topic.clone(), Arc::clone(&arn));
        Ok(arn)
    }

    /// The queues that a topic without SNS consists of now.
    pub(super) async fn fanout(
        &self,
        topic: &TopicName,
        deadline: Instant,
    ) -> Result<Arc<[Queue]>, Fault> {
        // Of before the request: what is made while it runs may not be in its answer.
        let at = Instant::now();
        if let Some(listed) = lock(&self.listed).get(topic)
            && at.duration_since(listed.at) < self.config.refresh
        {
            return Ok(Arc::clone(&listed.queues));
        }
        let prefix = self.config.names.queues_of(topic);
        let urls = insist(deadline, || async {
            let request = self
                .sqs
                .list_queues()
                .queue_name_prefix(&prefix)
                .max_results(1000);
            let pages = request.into_paginator().items().send();
            Ok(pages.collect::<Result<Vec<String>, _>>().await?)
        });
        let queues: Arc<[Queue]> = urls
            .await?
            .into_iter()
            .filter(|url| self.config.names.is_subscription(topic, name_of(url)))
            .map(queue)
            .collect();
        let listed = Listed {
            at,
            queues: Arc::clone(&queues),
        };
        lock(&self.listed).insert(topic.clone(), listed);
        Ok(queues)
    }

    /// Forgets what is known of a topic, because something of it is gone.
    pub(super) fn forget(&self, topic: &TopicName) {
        lock(&self.topics).remove(topic);
        lock(&self.listed).remove(topic);
        lock(&self.heard).remove(topic);
        lock(&self.known).retain(|(known, _), _| known != topic);
    }

    /// The queues of a subscription, where it exists.
    pub(super) async fn find(
        &self,
        operation: &'static str,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<Queues, Error> {
        let key = (topic.clone(), name.clone());
        if let Some(queues) = lock(&self.known).get(&key) {
            return Ok(queues.clone());
        }
        let failed = |fault: Fault| fault.error(operation);
        let names = &self.config.names;
        for fifo in [true, false] {
            let main = self
                .url(&names.queue(topic, name, fifo), self.deadline())
                .await
                .map_err(failed)?;
            if let Some(main) = main {
                let dead = self.dead(topic, name, fifo).await.map_err(failed)?;
                let queues = Queues { main, dead };
                lock(&self.known).insert(key, queues.clone());
                return Ok(queues);
            }
        }
        let problem = format!("topic {topic} has no subscription {name}");
        Err(Error::new(ErrorKind::Config, operation, problem))
    }

    /// The queue of a subscription's dead letters, made if there is none. Whatever `retention` says: they wait for people.
    pub(super) async fn dead(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        fifo: bool,
    ) -> Result<Queue, Fault> {
        let dead = self.config.names.dead(topic, name, fifo);
        let attributes = Self::attributes(fifo, LONGEST_RETENTION);
        let (queue, _) = self
            .find_or_make(&dead, attributes, self.deadline())
            .await?;
        Ok(queue)
    }

    /// Everything that a subscription needs, found or made.
    pub(super) async fn subscribe(&self, subscription: &Subscription) -> Result<Queues, Error> {
        const OPERATION: &str = "subscribe";
        let Subscription {
            topic, name, order, ..
        } = subscription;
        let failed = |fault: Fault| fault.error(OPERATION);
        let names = &self.config.names;
        let fifo = *order == Order::PerKey;
        let other = self
            .url(&names.queue(topic, name, !fifo), self.deadline())
            .await
            .map_err(failed)?;
        if let Some(other) = other {
            let problem = format!(
                "subscription {name} of topic {topic} exists with another order (queue {}); members share one order",
                name_of(&other.url)
            );
            return Err(Error::new(ErrorKind::Config, OPERATION, problem));
        }
        let dead = self.dead(topic, name, fifo).await.map_err(failed)?;
        let dead_arn = self
            .attribute(&dead, Attribute::QueueArn, self.deadline())
            .await
            .map_err(failed)?;
        let mut attributes = Self::attributes(fifo, self.config.retention);
        let redrive = json!({
            "deadLetterTargetArn": dead_arn,
            "maxReceiveCount": self.config.max_receives.to_string(),
        });
        attributes.insert(Attribute::RedrivePolicy, redrive.to_string());
        let main = names.queue(topic, name, fifo);
        let (main, made) = self
            .find_or_make(&main, attributes, self.deadline())
            .await
            .map_err(failed)?;
        if self.sns.is_some() {
            let joined = self.join_topic(topic, &main, &subscription.filter);
            joined.await.map_err(failed)?;
        } else {
            lock(&self.listed).remove(topic);
            let wait = self.unlisted_for(&main, made).await.map_err(failed)?;
            // Publishers elsewhere list the queues as often: what they publish after this they publish to it too.
            sleep(wait).await;
        }
        let queues = Queues { main, dead };
        let key = (topic.clone(), name.clone());
        lock(&self.known).insert(key, queues.clone());
        Ok(queues)
    }

    /// Without SNS: how long publishers may not know of a queue yet.
    async fn unlisted_for(&self, queue: &Queue, made: bool) -> Result<Duration, Fault> {
        let refresh = self.config.refresh;
        if made {
            return Ok(refresh);
        }
        // Somebody else may have made it a moment ago.
        let created = Attribute::CreatedTimestamp;
        let created = self.attribute(queue, created, self.deadline()).await?;
        let now = self.config.clock.now().timestamp();
        Ok(if is_new(&created, now, refresh) {
            refresh
        } else {
            Duration::ZERO
        })
    }

    /// One attribute of a queue; empty where it has none.
    pub(super) async fn attribute(
        &self,
        queue: &Queue,
        name: Attribute,
        deadline: Instant,
    ) -> Result<String, Fault> {
        let answer = insist(deadline, || async {
            let request = self.sqs.get_queue_attributes().queue_url(&queue.url);
            Ok(request.attribute_names(name.clone()).send().await?)
        });
        let mut attributes = answer.await?.attributes.unwrap_or_default();
        Ok(attributes.remove(&name).unwrap_or_default())
    }

    /// How many messages wait in a queue, how many are in flight, how many are delayed: as SQS estimates it.
    pub(super) async fn counts(&self, queue: &Queue) -> Result<[u64; 3], Fault> {
        const NAMES: [Attribute; 3] = [
            Attribute::ApproximateNumberOfMessages,
            Attribute::ApproximateNumberOfMessagesNotVisible,
            Attribute::ApproximateNumberOfMessagesDelayed,
        ];
        let answer = insist(self.deadline(), || async {
            let request = self.sqs.get_queue_attributes().queue_url(&queue.url);
            let request = request.set_attribute_names(Some(NAMES.to_vec()));
            Ok(request.send().await?)
        });
        let attributes = answer.await?.attributes.unwrap_or_default();
        let count = |name| attributes.get(&name).and_then(|text| text.parse().ok());
        Ok(NAMES.map(|name| count(name).unwrap_or_default()))
    }

    /// The queue of this name, if there is one.
    pub(super) async fn url(&self, name: &str, deadline: Instant) -> Result<Option<Queue>, Fault> {
        let answer = insist(deadline, || async {
            Ok(self.sqs.get_queue_url().queue_name(name).send().await?)
        });
        match answer.await {
            Ok(found) => Ok(found.queue_url.map(queue)),
            Err(fault) if fault.is_missing() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The queue of this name, and whether it was made now.
    pub(super) async fn find_or_make(
        &self,
        name: &str,
        attributes: HashMap<Attribute, String>,
        deadline: Instant,
    ) -> Result<(Queue, bool), Fault> {
        if let Some(queue) = self.url(name, deadline).await? {
            return Ok((queue, false));
        }
        let made = insist(deadline, || async {
            let request = self.sqs.create_queue().queue_name(name);
            Ok(request
                .set_attributes(Some(attributes.clone()))
                .send()
                .await?)
        });
        match made.await {
            Ok(made) => Ok((queue(made.queue_url.unwrap_or_default()), true)),
            // Somebody else made it meanwhile, and otherwise: then it is used as it is.
            Err(fault) if fault.is_different() => {
                let found = self.url(name, deadline).await?;
                found.map(|queue| (queue, false)).ok_or(fault)
            }
            Err(fault) => Err(fault),
        }
    }

    /// What a new queue is made with.
    pub(super) fn attributes(fifo: bool, retention: Duration) -> HashMap<Attribute, String> {
        let retention = retention.as_secs().to_string();
        let mut attributes = HashMap::from([(Attribute::MessageRetentionPeriod, retention)]);
        if fifo {
            attributes.insert(Attribute::FifoQueue, "true".to_owned());
            // A group at a time has its turn, and not the whole queue: many times as many messages a second.
            attributes.insert(Attribute::DeduplicationScope, "messageGroup".to_owned());
            attributes.insert(
                Attribute::FifoThroughputLimit,
                "perMessageGroupId".to_owned(),
            );
        }
        attributes
    }

    /// The topics that there are.
    pub(super) async fn topics(&self, deadline: Instant) -> Result<Vec<TopicName>, Fault> {
        let Some(sns) = &self.sns else {
            return Ok(Vec::new());
        };
        let fifo = self.config.topics == Topics::Fifo;
        let all = insist(deadline, || async {
            let pages = sns.list_topics().into_paginator().items().send();
            Ok(pages.collect::<Result<Vec<_>, _>>().await?)
        });
        let all = all.await?;
        let names = all
            .iter()
            .filter_map(|it| it.topic_arn.as_deref()?.rsplit(':').next());
        Ok(names
            .filter_map(|name| self.config.names.topic_of(name, fifo))
            .collect())
    }

    /// One round trip to each of the two.
    pub(super) async fn check(&self) -> Result<(), Fault> {
        let deadline = self.deadline();
        let name = self.config.names.delayed();
        let once = timeout_at(deadline, self.sqs.get_queue_url().queue_name(name).send());
        let silent = || Fault::new(ErrorKind::Unavailable, "AWS does not answer");
        match once.await.map_err(|_| silent())?.map_err(Fault::from) {
            // That there is no such queue is an answer.
            Err(fault) if !fault.is_missing() => return Err(fault),
            Ok(_) | Err(_) => {}
        }
        if let Some(sns) = &self.sns {
            let once = timeout_at(deadline, sns.list_topics().send());
            once.await.map_err(|_| silent())??;
        }
        Ok(())
    }
}

fn queue(url: String) -> Queue {
    let fifo = url.ends_with(FIFO);
    Queue { url, fifo }
}

/// Whether a queue that was made then, in seconds since 1970, may be missing in a list that is younger than `refresh`. SQS
/// tells whole seconds of its own clock; one that tells nothing knows no age.
fn is_new(created: &str, now: i64, refresh: Duration) -> bool {
    let refresh = i64::try_from(refresh.as_secs()).unwrap_or(i64::MAX);
    let created = created.parse::<i64>();
    created.map_or(true, |created| {
        now.saturating_sub(created) <= refresh.saturating_add(CLOCKS)
    })
}

/// The queue's name: the last part of its URL.
fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_new_until_every_publisher_has_listed_it() {
        let refresh = Duration::from_secs(10);
        for (created, new) in [
            ("1000", true),
            ("990", true),
            ("985", true),
            ("983", false),
            ("0", false),
            // The clock of SQS is ahead.
            ("1060", true),
            ("", true),
        ] {
            assert_eq!(is_new(created, 1000, refresh), new, "{created:?}");
        }
        assert!(is_new("0", i64::MAX, Duration::MAX));
    }
}
