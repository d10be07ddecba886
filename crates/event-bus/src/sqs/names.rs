//! Names as SQS and SNS take them.
//!
//! Ours have dots and up to 200 bytes; a queue's has letters, digits, `-` and `_`, 80 at most. Dots become underscores,
//! which no name of ours holds, and what is too long ends in a hash behind an upper-case `H`, which no name of ours holds
//! either: two names never meet.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::name::{SubscriptionName, TopicName};

const LONGEST_PREFIX: usize = 11;
/// With the prefix, `__`, `__dead` and `.fifo` they come to 80.
const LONGEST_TOPIC: usize = 30;
const LONGEST_SUBSCRIPTION: usize = 26;
/// Hexadecimal digits of a hash.
const HASH: usize = 16;
/// The longest name of a message group.
const LONGEST_GROUP: usize = 128;
/// What begins the name of a group that a message without a key has to itself.
const NO_KEY: &str = "none:";
/// What ends the name of everything that keeps an order.
pub(super) const FIFO: &str = ".fifo";
/// What ends the name of a queue of dead letters, before that.
const DEAD: &str = "__dead";

/// How this bus names what it makes.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn with_prefix(prefix: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let valid = prefix.len() <= LONGEST_PREFIX && prefix.bytes().all(allowed);
        valid.then(|| Self {
            prefix: prefix.to_owned(),
        })
    }

    /// The SNS topic. Topics have room for every name of ours, whole.
    pub(super) fn topic(&self, topic: &TopicName, fifo: bool) -> String {
        let name = topic.as_str().replace('.', "_");
        format!("{}{name}{}", self.prefix, suffix(fifo))
    }

    /// The topic of ours that an SNS topic is, if it is one.
    pub(super) fn topic_of(&self, name: &str, fifo: bool) -> Option<TopicName> {
        let name = name.strip_prefix(&self.prefix)?;
        let name = name.strip_suffix(suffix(fifo))?;
        TopicName::new(name.replace('_', ".")).ok()
    }

    /// What the names of all queues of a topic begin with.
    pub(super) fn queues_of(&self, topic: &TopicName) -> String {
        let topic = shortened(topic.as_str(), LONGEST_TOPIC);
        format!("{}{topic}__", self.prefix)
    }

    /// Whether a queue is a subscription's of the topic, and not of its dead letters. What follows the topic decides: a
    /// subscription may be called `dead`.
    pub(super) fn is_subscription(&self, topic: &TopicName, queue: &str) -> bool {
        let name = queue.strip_suffix(FIFO).unwrap_or(queue);
        let subscription = name.strip_prefix(&self.queues_of(topic));
        subscription.is_some_and(|name| !name.ends_with(DEAD))
    }

    pub(super) fn queue(&self, topic: &TopicName, name: &SubscriptionName, fifo: bool) -> String {
        let name = shortened(name.as_str(), LONGEST_SUBSCRIPTION);
        format!("{}{name}{}", self.queues_of(topic), suffix(fifo))
    }

    pub(super) fn dead(&self, topic: &TopicName, name: &SubscriptionName, fifo: bool) -> String {
        let name = shortened(name.as_str(), LONGEST_SUBSCRIPTION);
        format!("{}{name}{DEAD}{}", self.queues_of(topic), suffix(fifo))
    }

    /// The one queue of what is to be delivered later.
    pub(super) fn delayed(&self) -> String {
        format!("{}Delayed", self.prefix)
    }
}

const fn suffix(fifo: bool) -> &'static str {
    if fifo { FIFO } else { "" }
}

fn shortened(name: &str, longest: usize) -> String {
    let plain = name.replace('.', "_");
    if plain.len() <= longest {
        return plain;
    }
    let hash = hash(name.as_bytes()).to_uppercase();
    format!("{}H{}", &plain[..longest - HASH - 1], &hash[..HASH])
}

/// SHA-256 in hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The message group of a key: the key itself, where a group may be called so, else its hash. An event without a key has
/// a group to itself, so that it waits for nobody.
pub(super) fn group_of(key: Option<&str>) -> String {
    let Some(key) = key else {
        return format!("{NO_KEY}{}", Uuid::new_v4().simple());
    };
    if (1..=LONGEST_GROUP).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        key.to_owned()
    } else {
        format!("sha256:{}", hash(key.as_bytes()))
    }
}

/// Whether a group was made for a message without a key.
pub(super) fn is_keyless(group: &str) -> bool {
    group
        .strip_prefix(NO_KEY)
        .is_some_and(|rest| Uuid::try_parse(rest).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    fn subscription(name: &str) -> SubscriptionName {
        SubscriptionName::new(name).unwrap()
    }

    #[test]
    fn names_are_readable_where_they_are_short() {
        let names = Names::with_prefix("prod-").unwrap();
        let (orders, billing) = (topic("orders.placed"), subscription("billing.eu"));
        assert_eq!(names.topic(&orders, true), "prod-orders_placed.fifo");
        assert_eq!(
            names.queue(&orders, &billing, true),
            "prod-orders_placed__billing_eu.fifo"
        );
        assert_eq!(
            names.dead(&orders, &billing, false),
            "prod-orders_placed__billing_eu__dead"
        );
        assert_eq!(
            names.topic_of("prod-orders_placed.fifo", true),
            Some(orders)
        );
        assert_eq!(names.topic_of("other-orders.fifo", true), None);
    }

    #[test]
    fn a_subscription_called_dead_is_one() {
        let names = Names::default();
        let (orders, dead) = (topic("orders"), subscription("dead"));
        assert_eq!(names.queue(&orders, &dead, true), "orders__dead.fifo");
        assert!(names.is_subscription(&orders, "orders__dead.fifo"));
        assert!(!names.is_subscription(&orders, "orders__dead__dead.fifo"));
        assert!(!names.is_subscription(&orders, "invoices__dead.fifo"));
    }

    #[test]
    fn groups_are_what_sqs_takes() {
        assert_eq!(group_of(Some("order-17")), "order-17");
        for odd in ["", "a key with spaces", "schlüssel", &"k".repeat(129)] {
            let group = group_of(Some(odd));
            assert_eq!(group.len(), 71, "{odd:?}");
            assert_eq!(group, group_of(Some(odd)));
        }
        assert_ne!(group_of(None), group_of(None));
        assert!(is_keyless(&group_of(None)) && !is_keyless(&group_of(Some("none:of-these"))));
    }

    proptest! {
        #[test]
        fn every_name_fits_and_no_two_meet(
            one in "[a-z][a-z0-9-]{0,60}(\\.[a-z0-9-]{1,60}){0,2}",
            other in "[a-z][a-z0-9-]{0,60}(\\.[a-z0-9-]{1,60}){0,2}",
            reader in "[a-z][a-z0-9-]{0,60}(\\.[a-z0-9-]{1,60}){0,2}",
        ) {
            let names = Names::with_prefix("elevenchars").unwrap();
            let reader = subscription(&reader);
            let dead = names.dead(&topic(&one), &reader, true);
            prop_assert!(dead.len() <= 80, "{}", dead);
            prop_assert!(names.topic(&topic(&one), true).len() <= 256);
            let meet = names.queue(&topic(&one), &reader, true) == names.queue(&topic(&other), &reader, true);
            prop_assert_eq!(meet, one == other);
            for fifo in [true, false] {
                let (topic, name) = (topic(&one), &reader);
                prop_assert!(names.is_subscription(&topic, &names.queue(&topic, name, fifo)));
                prop_assert!(!names.is_subscription(&topic, &names.dead(&topic, name, fifo)));
            }
        }

        #[test]
        fn every_key_has_a_valid_group(key in "\\PC{0,200}") {
            let group = group_of(Some(&key));
            prop_assert!((1..=128).contains(&group.len()));
            prop_assert!(group.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
