//! What leads from an SNS topic into a queue: the subscription, its filter, and the leave to send.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use serde_json::{Map, Value as Json, json};
use tokio::time::Instant;

use super::fault::{Fault, insist};
use super::policy::policy;
use super::topology::{Queue, Topology, lock};
use crate::error::ErrorKind;
use crate::filter::Filter;
use crate::name::TopicName;

/// How long it is believed that somebody subscribes to a topic.
const HEARD: Duration = Duration::from_mins(1);

impl Topology {
    /// Whether anybody subscribes to the topic.
    pub(super) async fn is_heard(
        &self,
        topic: &TopicName,
        arn: &str,
        deadline: Instant,
    ) -> Result<bool, Fault> {
        let now = Instant::now();
        let known = lock(&self.heard).get(topic).copied();
        if known.is_some_and(|at| now.duration_since(at) < HEARD) {
            return Ok(true);
        }
        let Some(sns) = &self.sns else {
            return Ok(false);
        };
        let first = insist(deadline, || async {
            let request = sns.list_subscriptions_by_topic().topic_arn(arn);
            Ok(request.send().await?)
        });
        let heard = !first.await?.subscriptions().is_empty();
        if heard {
            lock(&self.heard).insert(topic.clone(), now);
        }
        Ok(heard)
    }

    /// Leads an SNS topic into a queue.
    pub(super) async fn join_topic(
        &self,
        topic: &TopicName,
        queue: &Queue,
        filter: &Filter,
    ) -> Result<(), Fault> {
        let arn = self.topic(topic, self.deadline()).await?;
        let queue_arn = self
            .attribute(queue, Attribute::QueueArn, self.deadline())
            .await?;
        self.allow(queue, &queue_arn, &arn).await?;
        let Some(sns) = &self.sns else { return Ok(()) };
        let policy = policy(filter);
        let made = insist(self.deadline(), || async {
            let mut request = sns
                .subscribe()
                .topic_arn(&*arn)
                .protocol("sqs")
                .endpoint(&queue_arn)
                .return_subscription_arn(true)
                .attributes("RawMessageDelivery", "true");
            if let Some(policy) = &policy {
                request = request
                    .attributes("FilterPolicyScope", "MessageBody")
                    .attributes("FilterPolicy", policy);
            }
            Ok(request.send().await?)
        });
        match made.await {
            Err(fault) if fault.is_missing() => {
                self.forget(topic);
                Err(fault)
            }
            Err(fault) if fault.is_different() => {
                // Of before, with another filter, or without raw delivery: the newest member says what it wants.
                let subscription = self.subscription_of(&arn, &queue_arn).await?;
                self.adjust(&subscription, policy.as_deref()).await
            }
            Err(fault) => Err(fault),
            Ok(made) => {
                // SNS may give the subscription that there is, as it is.
                let subscription = made.subscription_arn.unwrap_or_default();
                self.adjust_if_different(&subscription, policy.as_deref())
                    .await
            }
        }
    }

    async fn subscription_of(&self, topic: &str, queue: &str) -> Result<String, Fault> {
        let Some(sns) = &self.sns else {
            return Ok(String::new());
        };
        let all = insist(self.deadline(), || async {
            let pages = sns
                .list_subscriptions_by_topic()
                .topic_arn(topic)
                .into_paginator();
            Ok(pages.items().send().collect::<Result<Vec<_>, _>>().await?)
        });
        let all = all.await?;
        let found = all
            .into_iter()
            .find(|it| it.endpoint.as_deref() == Some(queue));
        found.and_then(|it| it.subscription_arn).ok_or_else(|| {
            Fault::new(
                ErrorKind::Unavailable,
                "the topic's subscription is gone again",
            )
        })
    }

    async fn adjust_if_different(&self, arn: &str, policy: Option<&str>) -> Result<(), Fault> {
        let Some(sns) = &self.sns else { return Ok(()) };
        let now = insist(self.deadline(), || async {
            Ok(sns
                .get_subscription_attributes()
                .subscription_arn(arn)
                .send()
                .await?)
        });
        let now = now.await?.attributes.unwrap_or_default();
        let same = |wanted: &str| {
            let there = now.get("FilterPolicy").map_or("{}", String::as_str);
            let read = |text: &str| serde_json::from_str::<Json>(text).unwrap_or_default();
            read(there) == read(wanted)
        };
        let raw = now
            .get("RawMessageDelivery")
            .is_some_and(|raw| raw == "true");
        if raw && same(policy.unwrap_or("{}")) {
            return Ok(());
        }
        self.adjust(arn, policy).await
    }

    async fn adjust(&self, arn: &str, policy: Option<&str>) -> Result<(), Fault> {
        let Some(sns) = &self.sns else { return Ok(()) };
        let settings = [
            ("RawMessageDelivery", "true"),
            ("FilterPolicyScope", "MessageBody"),
            ("FilterPolicy", policy.unwrap_or("{}")),
        ];
        for (name, value) in settings {
            insist(self.deadline(), || async {
                let request = sns.set_subscription_attributes().subscription_arn(arn);
                Ok(request
                    .attribute_name(name)
                    .attribute_value(value)
                    .send()
                    .await?)
            })
            .await?;
        }
        Ok(())
    }

    /// Allows the topic to send to the queue, unless the queue's policy speaks of the topic already.
    async fn allow(&self, queue: &Queue, queue_arn: &str, topic_arn: &str) -> Result<(), Fault> {
        let policy = self
            .attribute(queue, Attribute::Policy, self.deadline())
            .await?;
        let Some(policy) = allowing(&policy, queue_arn, topic_arn) else {
            return Ok(());
        };
        insist(self.deadline(), || async {
            let request = self.sqs.set_queue_attributes().queue_url(&queue.url);
            Ok(request
                .attributes(Attribute::Policy, &policy)
                .send()
                .await?)
        })
        .await
        .map(drop)
    }
}

/// The queue's policy with one statement more; `None` where it speaks of the topic already.
fn allowing(policy: &str, queue_arn: &str, topic_arn: &str) -> Option<String> {
    // With its quotes: the name of a topic may be the beginning of another's.
    if policy.contains(&format!("\"{topic_arn}\"")) {
        return None;
    }
    let allow = json!({
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    });
    let mut policy = match serde_json::from_str(policy) {
        Ok(Json::Object(policy)) => policy,
        // The queue has none.
        _ => Map::from_iter([("Version".to_owned(), json!("2012-10-17"))]),
    };
    let statements = match policy.remove("Statement") {
        Some(Json::Array(statements)) => statements,
        // One alone needs no list.
        Some(statement @ Json::Object(_)) => vec![statement],
        _ => Vec::new(),
    };
    let statements = statements.into_iter().chain([allow]).collect();
    policy.insert("Statement".to_owned(), statements);
    Some(Json::Object(policy).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUEUE: &str = "arn:aws:sqs:eu-central-1:1:orders__billing";
    const TOPIC: &str = "arn:aws:sns:eu-central-1:1:orders";

    fn statements(policy: &str) -> Vec<Json> {
        let policy: Json = serde_json::from_str(policy).unwrap();
        policy["Statement"].as_array().unwrap().clone()
    }

    #[test]
    fn a_policy_keeps_what_it_says_and_allows_a_topic_once() {
        let first = allowing("", QUEUE, TOPIC).unwrap();
        assert_eq!(statements(&first).len(), 1);
        assert_eq!(allowing(&first, QUEUE, TOPIC), None);
        let longer = format!("{TOPIC}-eu");
        let both = allowing(&allowing("", QUEUE, &longer).unwrap(), QUEUE, TOPIC).unwrap();
        assert_eq!(statements(&both).len(), 2);
        for theirs in [
            json!({"Version": "2008-10-17", "Statement": {"Sid": "theirs"}}),
            json!({"Version": "2008-10-17", "Statement": [{"Sid": "theirs"}]}),
        ] {
            let ours = allowing(&theirs.to_string(), QUEUE, TOPIC).unwrap();
            let policy: Json = serde_json::from_str(&ours).unwrap();
            assert_eq!(policy["Version"], "2008-10-17");
            assert_eq!(statements(&ours)[0], json!({"Sid": "theirs"}));
            assert_eq!(statements(&ours)[1], statements(&first)[0]);
        }
    }

    proptest! {
        #[test]
        fn any_text_of_a_policy_is_taken(
            policy in prop_oneof!["\\PC{0,80}", "\\[?\"?[a-z0-9]{0,9}\"?\\]?", "\\{\"Statement\":[0-9]{1,3}\\}"],
        ) {
            let allowed = allowing(&policy, QUEUE, TOPIC).unwrap();
            prop_assert_eq!(statements(&allowed).len(), 1);
        }
    }
}
