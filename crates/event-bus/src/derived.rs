//! Names that brokers know and users do not.

use crate::name::{SubscriptionName, TopicName};

/// A subscription's name among all subscriptions of all topics: `TOPIC.SUBSCRIPTION`. Dots of the subscription become
/// underscores, which no name of ours holds, so that "a.b" of "c" and "a" of "b.c" stay apart.
pub(crate) fn qualified(topic: &TopicName, name: &SubscriptionName) -> String {
    format!("{topic}.{}", name.as_str().replace('.', "_"))
}

/// How names of dead letters end.
pub(crate) const DEAD: &str = ".dead";

/// Where the subscription's dead letters are kept.
pub(crate) fn dead_letters_of(qualified: &str) -> String {
    format!("{qualified}{DEAD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_names_do_not_meet() {
        let (ab, a) = (TopicName::new("a.b").unwrap(), TopicName::new("a").unwrap());
        let (c, bc) = (
            SubscriptionName::new("c").unwrap(),
            SubscriptionName::new("b.c").unwrap(),
        );
        assert_eq!(qualified(&ab, &c), "a.b.c");
        assert_eq!(qualified(&a, &bc), "a.b_c");
        assert_eq!(dead_letters_of(&qualified(&ab, &c)), "a.b.c.dead");
    }
}
